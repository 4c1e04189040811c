/** Back-pressure for messages of very different sizes on a stream that counts messages and not bytes. */
import type { Writable } from 'node:stream';
import type { StatusError } from './status-error.js';

/** Bytes that may lie between us and the HTTP/2 session; four messages of a file transfer keep it busy. */
const MAX_PENDING_BYTES = 1024 * 1024;

export class ByteWriter {
  readonly #stream: Writable;
  #pendingBytes = 0;
  #failure: StatusError | undefined;
  #waiting: { resolve: () => void; reject: (reason: StatusError) => void } | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('drain', () => this.#wake());
  }

  /** @returns `undefined` where more may be written at once, else a promise to wait for first; one at a time */
  write(message: Buffer): Promise<void> | undefined {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#pendingBytes += message.length;
    const open = this.#stream.write(message, () => {
      this.#pendingBytes -= message.length;
      this.#wake();
    });
    if (open && this.#pendingBytes <= MAX_PENDING_BYTES) return undefined;
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  /** grpc-js does not call back the writes of a call that was cancelled: a pending one is rejected here. */
  abort(reason: StatusError): void {
    this.#failure ??= reason;
    this.#waiting?.reject(reason);
    this.#waiting = undefined;
  }

  #wake(): void {
    if (!this.#waiting || this.#pendingBytes > MAX_PENDING_BYTES || this.#stream.writableNeedDrain) return;
    this.#waiting.resolve();
    this.#waiting = undefined;
  }
}
