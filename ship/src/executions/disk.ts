import * as fs from 'node:fs';
import { promisify } from 'node:util';
import type { Log } from '../part-deps.js';

/** The file operations of the logs, as one object, so that a test can bring a disk that is full or fails. */
export interface Disk {
  readonly makeDirectory: (path: string) => void;
  /** Names and sizes of the regular files in a directory. */
  readonly list: (directory: string) => { name: string; size: number }[];
  /** For reading and writing; made empty where it is missing. */
  readonly open: (path: string) => number;
  readonly close: (fd: number) => void;
  /** Writes all of it, or throws. */
  readonly writeSync: (fd: number, bytes: Uint8Array, position: number) => void;
  /** Writes all of it, in order, or rejects; a part may be there then. */
  readonly write: (fd: number, pieces: readonly Uint8Array[], position: number) => Promise<void>;
  readonly truncate: (fd: number, size: number) => void;
  readonly readSync: (path: string) => Buffer;
  /** What is there of a range: fewer bytes at the end of the file. Opens and closes the file, so that nobody holds it. */
  readonly read: (path: string, position: number, length: number) => Promise<Buffer>;
  /** A file that is not there is fine. */
  readonly remove: (path: string) => Promise<void>;
}

const writev = promisify(
  (fd: number, pieces: readonly Uint8Array[], position: number, done: (error: Error | null, bytes: number) => void) =>
    fs.writev(fd, pieces, position, done),
);

const read = promisify(
  (
    fd: number,
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | null, bytes: number) => void,
  ) => fs.read(fd, buffer, offset, length, position, done),
);

/** Pieces that one writev takes (IOV_MAX). */
const MAX_PIECES = 1024;

export const realDisk: Disk = {
  makeDirectory: (path) => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }),

  list: (directory) =>
    fs
      .readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => ({ name: entry.name, size: fs.statSync(`${directory}/${entry.name}`).size })),

  open: (path) => fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600),
  close: (fd) => fs.closeSync(fd),

  writeSync(fd, bytes, position) {
    for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
  },

  async write(fd, pieces, position) {
    let at = position;
    for (let first = 0; first < pieces.length; first += MAX_PIECES) {
      let rest: readonly Uint8Array[] = pieces.slice(first, first + MAX_PIECES);
      while (rest.length > 0) {
        const written = await writev(fd, rest, at);
        at += written;
        rest = withoutFirst(rest, written);
      }
    }
  },

  truncate: (fd, size) => fs.ftruncateSync(fd, size),
  readSync: (path) => fs.readFileSync(path),

  async read(path, position, length) {
    // Opened and closed at once, as that takes less than a trip to the thread pool.
    const fd = fs.openSync(path, 'r');
    try {
      const buffer = Buffer.allocUnsafeSlow(length);
      let bytes = 0;
      while (bytes < length) {
        const bytesRead = await read(fd, buffer, bytes, length - bytes, position + bytes);
        if (bytesRead === 0) break;
        bytes += bytesRead;
      }
      return buffer.subarray(0, bytes);
    } finally {
      fs.closeSync(fd);
    }
  },

  remove: (path) => fs.promises.rm(path, { force: true }),
};

function withoutFirst(pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let skip = bytes;
  let at = 0;
  while (at < pieces.length && skip >= pieces[at]!.length) skip -= pieces[at++]!.length;
  if (at === pieces.length) return [];
  return skip === 0 ? pieces.slice(at) : [pieces[at]!.subarray(skip), ...pieces.slice(at + 1)];
}

/** "ENOSPC" and the like; empty for what is no error of the operating system. */
export function errorCode(error: unknown): string {
  // Not by instanceof, which fails across Jest realms.
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** A disk on which a file that cannot be removed is told and left, as nothing depends on its absence. */
export function patient(disk: Disk, log: Log): Disk {
  return {
    ...disk,
    remove: (path) =>
      disk.remove(path).catch((error: unknown) => log.warn({ err: error, path }, 'a file could not be removed')),
  };
}
