import type { Writable } from 'node:stream';
import { openPipeWriter, type PipeHandle } from './pipes.js';
import type { RunnerLink } from './runner-link.js';
import type { FileWriter } from './session-runner.js';

/** Bytes of a file on its way in that Node holds while the pipe (1 MiB) is full. */
const WRITE_BUFFER_BYTES = 512 * 1024;

/** A file on its way in: bytes into the runner's pipe, then one word about what becomes of them. */
export class RunnerFileWriter implements FileWriter {
  readonly data: Writable;
  private settled = false;

  constructor(
    private readonly link: RunnerLink,
    private readonly stream: number,
    handle: PipeHandle,
  ) {
    this.data = openPipeWriter(handle, WRITE_BUFFER_BYTES);
    // EPIPE: the runner gave up on the file; commit() tells why.
    this.data.on('error', () => undefined);
  }

  async commit(): Promise<{ path: string; sizeBytes: number }> {
    this.settled = true;
    if (!this.data.closed) {
      const closed = new Promise<void>((resolve) => this.data.once('close', () => resolve()));
      this.data.end();
      await closed;
    }
    const { result } = await this.link.request('commit', { stream: this.stream });
    return { path: String(result['path']), sizeBytes: Number(result['sizeBytes']) };
  }

  async abort(): Promise<void> {
    if (this.settled) return;
    this.settled = true;
    this.data.destroy();
    await this.link.request('abort', { stream: this.stream }).catch(() => undefined); // a runner that is gone left nothing
  }
}
