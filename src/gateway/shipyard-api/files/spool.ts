/**
 * Bytes that must wait until it is known where they go: a little in memory, more in a private file that
 * loses its name as soon as it is open, so that neither memory grows nor anything is left behind by a crash.
 */
import { randomUUID } from 'node:crypto';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PIECE_BYTES } from './upload-text.js';

const IN_MEMORY_BYTES = 256 * 1024;

export class Spool {
  #held: Buffer[] = [];
  #file: FileHandle | undefined;
  #size = 0;

  constructor(private readonly folder: string = tmpdir()) {}

  get size(): number {
    return this.#size;
  }

  async write(bytes: Buffer): Promise<void> {
    this.#size += bytes.length;
    if (!this.#file && this.#size <= IN_MEMORY_BYTES) {
      this.#held.push(Buffer.from(bytes)); // a copy: the parser's chunk may be a piece of a much larger one
      return;
    }
    this.#file ??= await this.#openFile();
    await writeAll(this.#file, bytes);
  }

  async *read(): AsyncGenerator<Buffer> {
    if (!this.#file) {
      yield* this.#held;
      return;
    }
    for (let at = 0; at < this.#size;) {
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, at);
      if (bytesRead === 0) throw new Error('the spooled upload is shorter than what was written');
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  async close(): Promise<void> {
    this.#held = [];
    await this.#file?.close();
    this.#file = undefined;
  }

  async #openFile(): Promise<FileHandle> {
    const path = join(this.folder, `shipyard-upload-${randomUUID()}`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    for (const bytes of this.#held.splice(0)) await writeAll(file, bytes);
    return file;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
}
