import { crc32 } from 'node:zlib';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Disk } from './disk.js';
import { errorCode } from './disk.js';
import { RESERVED_BLOCK, type LogEnd } from './execution-log.js';
import type { PackLocation } from './log-store.js';

/** What is known of an execution before its work starts; never changes. */
export interface AcceptedExecution {
  /** Names the log's files; +1 for every execution of the ship, over all incarnations. */
  readonly key: number;
  readonly sessionId: string;
  readonly executionId: string;
  /** SHA-256 of the request, base64. */
  readonly digest: string;
  readonly incarnation: number;
  /** Key of shipyard.execution.v1.ExecutionKind. */
  readonly kind: 'CELL' | 'COMMAND' | 'TERMINAL' | 'BACKGROUND';
  readonly createMs: number;
  readonly firstSequence: number;
  /** Started for later, by `background` of the command. */
  readonly background: boolean;
  /** Cut at 4 KiB. */
  readonly command: string;
}

/** Where an execution lies in the index: what changes of it is written in place, which needs no room on the disk. */
export interface IndexSlot {
  readonly file: IndexFile;
  readonly offset: number;
}

export interface RecordedEnd extends LogEnd {
  readonly endMs: number;
  /** Encoded `Started`; empty where it never started. */
  readonly started: Buffer;
}

export interface RecoveredExecution {
  readonly accepted: AcceptedExecution;
  readonly slot: IndexSlot;
  /** All numbers that an earlier incarnation can have given are at most this. */
  readonly reservedThrough: number;
  readonly end: RecordedEnd | undefined;
}

interface IndexFile {
  readonly path: string;
  readonly number: number;
  fd: number;
  /** Bytes that are used, and bytes that are allocated. */
  used: number;
  allocated: number;
  /** Slots that are still wanted. */
  live: number;
}

const FILE_BYTES = 1024 * 1024;
/** Allocated ahead, so that a disk that fills up meanwhile does not stop executions from being recorded. */
const ALLOCATE_BYTES = 64 * 1024;
const AHEAD_BYTES = 32 * 1024;

// A slot: its length, the payload's length and CRC (12 bytes, 4 unused); the reservation; the end; the payload as JSON.
const RESERVED_AT = 16;
const END_AT = 24;
const END_BYTES = 400;
const PAYLOAD_AT = END_AT + END_BYTES;

/**
 * The list of executions on disk, by which nothing runs twice whatever becomes of the agent. Written synchronously and
 * without fsync: it survives the agent's death, not the host's. A slot is written once and its end in place.
 */
export class ExecutionIndex {
  #files: IndexFile[] = [];
  #current: IndexFile | undefined;

  constructor(
    private readonly directory: string,
    private readonly disk: Disk,
  ) {}

  /** What earlier incarnations left, in the order of acceptance. Nothing is appended to their files. */
  open(): RecoveredExecution[] {
    this.disk.makeDirectory(this.directory);
    const found = this.disk
      .list(this.directory)
      .map(({ name }) => /^i([0-9a-z]+)\.idx$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map((digits) => Number.parseInt(digits, 36))
      .sort((a, b) => a - b);
    return found.flatMap((number) => {
      const path = this.#path(number);
      const bytes = this.disk.readSync(path);
      const file: IndexFile = {
        path,
        number,
        fd: this.disk.open(path),
        used: bytes.length,
        allocated: bytes.length,
        live: 0,
      };
      this.#files.push(file);
      const recovered = parseSlots(file, bytes);
      file.live = recovered.length;
      return recovered;
    });
  }

  /**
   * Records an execution, before its work starts.
   *
   * @throws StatusError DISK_FULL where there is no room even for this: nothing may run then, as it could run twice
   */
  accept(execution: AcceptedExecution): IndexSlot {
    const payload = Buffer.from(JSON.stringify(execution));
    const length = PAYLOAD_AT + payload.length;
    const slot = Buffer.alloc(length);
    slot.writeUInt32LE(length, 0);
    slot.writeUInt32LE(payload.length, 4);
    slot.writeUInt32LE(crc32(payload), 8);
    slot.writeDoubleLE(execution.firstSequence - 1 + RESERVED_BLOCK, RESERVED_AT);
    payload.copy(slot, PAYLOAD_AT);

    const file = this.#fileFor(length);
    const offset = file.used;
    try {
      this.disk.writeSync(file.fd, slot, offset);
    } catch (error) {
      throw diskFull(error);
    }
    file.used += length;
    file.live++;
    return { file, offset };
  }

  reserve(slot: IndexSlot, through: number): void {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeDoubleLE(through);
    this.disk.writeSync(slot.file.fd, bytes, slot.offset + RESERVED_AT);
  }

  recordEnd(slot: IndexSlot, end: RecordedEnd): void {
    this.disk.writeSync(slot.file.fd, encodeEnd(end), slot.offset + END_AT);
  }

  /** What was recorded of an execution, whole; undefined where it cannot be read. */
  async readAccepted(slot: IndexSlot): Promise<AcceptedExecution | undefined> {
    const header = await this.disk.read(slot.file.path, slot.offset, 8);
    if (header.length < 8) return undefined;
    const payload = await this.disk.read(slot.file.path, slot.offset + PAYLOAD_AT, header.readUInt32LE(4));
    return JSON.parse(payload.toString()) as AcceptedExecution;
  }

  /** The entry is no longer wanted; its file goes with its last one. */
  async forget(slot: IndexSlot): Promise<void> {
    const { file } = slot;
    if (--file.live > 0 || file === this.#current) return;
    this.#files = this.#files.filter((other) => other !== file);
    this.disk.close(file.fd);
    await this.disk.remove(file.path);
  }

  /** Removes files of which nothing is wanted. */
  async removeEmpty(): Promise<void> {
    const empty = this.#files.filter((file) => file.live === 0 && file !== this.#current);
    this.#files = this.#files.filter((file) => !empty.includes(file));
    for (const file of empty) {
      this.disk.close(file.fd);
      await this.disk.remove(file.path);
    }
  }

  close(): void {
    for (const file of this.#files.splice(0)) this.disk.close(file.fd);
    this.#current = undefined;
  }

  #path(number: number): string {
    return `${this.directory}/i${number.toString(36)}.idx`;
  }

  /** A file with room for a slot; looks ahead, and fails only where what was allocated before is used up. */
  #fileFor(length: number): IndexFile {
    const current = this.#current;
    const fits = current !== undefined && current.used + length <= current.allocated;
    if (fits && current.allocated - current.used - length >= AHEAD_BYTES) return current;
    try {
      if (current && current.used + length + AHEAD_BYTES <= FILE_BYTES) this.#grow(current, length);
      else if (!fits) return this.#newFile(length);
    } catch (error) {
      if (!fits) throw diskFull(error);
    }
    return current ?? this.#newFile(length);
  }

  #newFile(length: number): IndexFile {
    const number = (this.#files.at(-1)?.number ?? 0) + 1;
    const path = this.#path(number);
    const file: IndexFile = { path, number, fd: this.disk.open(path), used: 0, allocated: 0, live: 0 };
    try {
      this.#grow(file, length);
    } catch (error) {
      this.disk.close(file.fd);
      throw error;
    }
    this.#files.push(file);
    this.#current = file;
    return file;
  }

  #grow(file: IndexFile, length: number): void {
    const bytes = Math.max(ALLOCATE_BYTES, length + AHEAD_BYTES);
    this.disk.writeSync(file.fd, Buffer.alloc(bytes), file.allocated);
    file.allocated += bytes;
  }
}

function diskFull(error: unknown): StatusError {
  const why = errorCode(error) || 'write failed';
  const remedy = 'files can still be deleted by the calls for files, which makes room';
  return new StatusError('DISK_FULL', `the execution cannot be recorded: ${why}; ${remedy}`, { cause: error });
}

function parseSlots(file: IndexFile, bytes: Buffer): RecoveredExecution[] {
  const recovered: RecoveredExecution[] = [];
  for (let offset = 0; bytes.length - offset >= PAYLOAD_AT;) {
    const length = bytes.readUInt32LE(offset);
    const payloadLength = bytes.readUInt32LE(offset + 4);
    if (length !== PAYLOAD_AT + payloadLength || offset + length > bytes.length) break; // zeros ahead, or a torn slot
    const payload = bytes.subarray(offset + PAYLOAD_AT, offset + length);
    if (crc32(payload) !== bytes.readUInt32LE(offset + 8)) break;
    recovered.push({
      accepted: JSON.parse(payload.toString()) as AcceptedExecution,
      slot: { file, offset },
      reservedThrough: bytes.readDoubleLE(offset + RESERVED_AT),
      end: parseEnd(bytes.subarray(offset + END_AT, offset + PAYLOAD_AT)),
    });
    offset += length;
  }
  return recovered;
}

// An end: length and CRC of what follows; numbers; the encoded Started and `ended` event with their lengths.
const END_BODY_AT = 6;
const END_STARTED_AT = END_BODY_AT + 40;

function encodeEnd(end: RecordedEnd): Buffer {
  const length = END_STARTED_AT + end.started.length + end.event.length;
  if (length > END_BYTES) throw new Error(`an end of ${length} bytes does not fit its place in the index`);
  const bytes = Buffer.alloc(length);
  bytes.writeDoubleLE(end.sequence, END_BODY_AT);
  bytes.writeDoubleLE(end.endMs, END_BODY_AT + 8);
  bytes.writeDoubleLE(end.bytes, END_BODY_AT + 16);
  bytes.writeUInt32LE(end.location?.pack ?? 0, END_BODY_AT + 24);
  bytes.writeUInt32LE(end.location?.offset ?? 0, END_BODY_AT + 28);
  bytes.writeUInt32LE(end.location?.length ?? 0, END_BODY_AT + 32);
  bytes.writeUInt16LE(end.started.length, END_BODY_AT + 36);
  bytes.writeUInt16LE(end.event.length, END_BODY_AT + 38);
  end.started.copy(bytes, END_STARTED_AT);
  end.event.copy(bytes, END_STARTED_AT + end.started.length);
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt32LE(crc32(bytes.subarray(END_BODY_AT)), 2);
  return bytes;
}

function parseEnd(bytes: Buffer): RecordedEnd | undefined {
  const length = bytes.readUInt16LE(0);
  if (length < END_STARTED_AT || length > bytes.length) return undefined;
  if (crc32(bytes.subarray(END_BODY_AT, length)) !== bytes.readUInt32LE(2)) return undefined;
  const eventAt = END_STARTED_AT + bytes.readUInt16LE(END_BODY_AT + 36);
  const pack = bytes.readUInt32LE(END_BODY_AT + 24);
  const location: PackLocation | undefined = pack
    ? { pack, offset: bytes.readUInt32LE(END_BODY_AT + 28), length: bytes.readUInt32LE(END_BODY_AT + 32) }
    : undefined;
  return {
    sequence: bytes.readDoubleLE(END_BODY_AT),
    endMs: bytes.readDoubleLE(END_BODY_AT + 8),
    bytes: bytes.readDoubleLE(END_BODY_AT + 16),
    location,
    started: Buffer.from(bytes.subarray(END_STARTED_AT, eventAt)), // copies, so that they do not hold the whole file
    event: Buffer.from(bytes.subarray(eventAt, eventAt + bytes.readUInt16LE(END_BODY_AT + 38))),
  };
}
