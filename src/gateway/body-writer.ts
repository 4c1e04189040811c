import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { StatusError } from '../../proto/rpc/status-error.js';

/** One write to the socket gathers text up to this many characters, or what one turn of the event loop brings. */
const GATHER_CHARS = 64 * 1024;

/**
 * An answer's body, written piece by piece with the socket's back-pressure: at most one gathered write and one piece
 * are in memory beyond what the socket took.
 */
export class BodyWriter {
  readonly #raw: ServerResponse;
  readonly #signal: AbortSignal;
  #gathered = '';
  #timer: NodeJS.Immediate | undefined;

  constructor(raw: ServerResponse, signal: AbortSignal) {
    this.#raw = raw;
    this.#signal = signal;
  }

  /**
   * @returns undefined: go on; a promise: await it before the next piece. It rejects with the signal's reason.
   */
  write(data: string | Uint8Array): Promise<void> | undefined {
    if (this.#raw.destroyed) return Promise.reject(toError(this.#left()));
    if (typeof data === 'string') {
      this.#gathered += data;
      if (this.#gathered.length >= GATHER_CHARS) this.#send();
      else this.#timer ??= setImmediate(() => this.#send());
    } else {
      this.#send();
      this.#raw.write(data);
    }
    return this.#raw.writableNeedDrain ? this.#drain() : undefined;
  }

  /** Writes unless the socket is full; for what may be left out. */
  writeIfRoom(data: string): void {
    if (this.#raw.destroyed || this.#raw.writableEnded || this.#raw.writableNeedDrain) return;
    this.#gathered += data;
    this.#send();
  }

  /** Resolves when everything given so far is with the socket and there is room for more. */
  async flush(): Promise<void> {
    if (this.#raw.destroyed) throw this.#left();
    this.#send();
    if (this.#raw.writableNeedDrain) await this.#drain();
  }

  /** Completes the answer; resolves when it was handed to the system, or the connection is gone. */
  async end(): Promise<void> {
    if (this.#raw.destroyed) return;
    this.#send();
    await new Promise<void>((resolve) => {
      this.#raw.once('close', resolve);
      this.#raw.end(resolve);
    });
  }

  /** Breaks the connection, which tells the client that the body is incomplete. */
  destroy(): void {
    clearImmediate(this.#timer);
    this.#raw.destroy();
  }

  #send(): void {
    if (this.#timer) clearImmediate(this.#timer);
    this.#timer = undefined;
    if (this.#gathered === '' || this.#raw.destroyed) return;
    const text = this.#gathered;
    this.#gathered = '';
    this.#raw.write(text);
  }

  #left(): unknown {
    return this.#signal.aborted ? this.#signal.reason : new StatusError('CANCELLED', 'the caller left');
  }

  #drain(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#raw.off('drain', settle).off('close', settle);
        this.#signal.removeEventListener('abort', settle);
        if (this.#signal.aborted || this.#raw.destroyed) reject(toError(this.#left()));
        else resolve();
      };
      this.#raw.once('drain', settle).once('close', settle);
      this.#signal.addEventListener('abort', settle);
      if (this.#signal.aborted) settle();
    });
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : StatusError.from(reason);
}

/**
 * Takes the answer over from Fastify and sends its head. Headers that hooks gave to the reply (CORS) go along.
 *
 * @param signal of the call: waits for the socket end with it
 */
export function openBody(
  reply: FastifyReply,
  head: { status: number; headers: OutgoingHttpHeaders },
  signal: AbortSignal,
): BodyWriter {
  reply.hijack();
  reply.raw.writeHead(head.status, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...head.headers });
  // With the first piece where there is one now, else on its own, so that the client knows that it is heard.
  setImmediate(() => {
    if (!reply.raw.destroyed) reply.raw.flushHeaders();
  });
  return new BodyWriter(reply.raw, signal);
}
