import type { Readable } from 'node:stream';
import type { ExecutionHandle } from '../executions/execution.js';

type Sink = Pick<ExecutionHandle, 'output'>;

/** Carries a pipe's bytes into a log, no faster than the log takes them; the pipe then slows down its writer. */
export class OutputPump {
  /** At end of file, or when the pipe broke with its sandbox. */
  readonly closed: Promise<void>;
  isClosed = false;
  private waiting = false;
  private lastMs = performance.now();

  constructor(
    private readonly source: Readable,
    private readonly stream: 'stdout' | 'stderr' | 'pty',
    private sink: Sink,
  ) {
    source.on('data', (chunk: Uint8Array) => this.take(chunk));
    source.on('error', () => undefined); // 'close' follows; how the process ended is told elsewhere
    this.closed = new Promise((resolve) => {
      source.once('close', () => {
        this.isClosed = true;
        resolve();
      });
    });
  }

  /** When it last had something to say, on performance.now(); now, while it waits for the log. */
  get quietSinceMs(): number {
    return this.isClosed ? 0 : this.waiting ? performance.now() : this.lastMs;
  }

  /** What comes from now on goes elsewhere. */
  redirect(sink: Sink): void {
    this.sink = sink;
  }

  private take(chunk: Uint8Array): void {
    this.lastMs = performance.now();
    const room = this.sink.output(this.stream, chunk);
    if (room === undefined) return;
    this.waiting = true;
    this.source.pause();
    void room.then(() => {
      this.waiting = false;
      this.lastMs = performance.now();
      this.source.resume();
    });
  }
}
