import { realDisk, type Disk } from '../disk.js';

/** A real disk that can be full, slow or unwritable. */
export class BrokenDisk implements Disk {
  /** Bytes that writes still take; writes beyond it leave a part and fail. */
  freeBytes = Infinity;
  /** What writes fail with. */
  code = 'ENOSPC';
  /** Held before every asynchronous write. */
  gate: Promise<void> = Promise.resolve();
  writes = 0;
  /** Bytes that the disk gets back with every file that is removed. */
  freedBytes = 0;

  makeDirectory = realDisk.makeDirectory;
  list = realDisk.list;
  open = realDisk.open;
  close = realDisk.close;
  truncate = realDisk.truncate;
  readSync = realDisk.readSync;
  read = realDisk.read;

  remove = async (path: string): Promise<void> => {
    await realDisk.remove(path);
    this.freeBytes += this.freedBytes;
  };

  writeSync = (fd: number, bytes: Uint8Array, position: number): void => {
    realDisk.writeSync(fd, bytes, position);
  };

  write = async (fd: number, pieces: readonly Uint8Array[], position: number): Promise<void> => {
    await this.gate;
    this.writes++;
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (bytes > this.freeBytes) {
      const part = Buffer.concat(pieces).subarray(0, Math.floor(this.freeBytes));
      await realDisk.write(fd, [part], position);
      throw Object.assign(new Error(`${this.code}: no space left on device, write`), { code: this.code });
    }
    this.freeBytes -= bytes;
    await realDisk.write(fd, pieces, position);
  };
}
