/** Reading a request's body with its bounds; a body that is refused is left unread until the answer is out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { StatusError } from '../../proto/rpc/status-error.js';

const awaitingContinue = new WeakSet<IncomingMessage>();

/** How long a client may go on sending after its answer is out, so that it comes to read the answer. */
const LINGER_MS = 10_000;
/** A body that stops for so long is given up. */
const IDLE_MS = 60_000;

/** Remembers that the client waits for "100 Continue", which `allowBody` sends: what is refused early costs no upload. */
export function deferContinue(request: IncomingMessage): void {
  awaitingContinue.add(request);
}

/** Whether the client still waits, and so whether the connection can serve no other request after this one's answer. */
export function isAwaitingContinue(request: IncomingMessage): boolean {
  return awaitingContinue.has(request);
}

/** To be called before a body is read for the first time. */
export function allowBody(request: IncomingMessage, response: ServerResponse): void {
  if (awaitingContinue.delete(request) && !response.headersSent) response.writeContinue();
}

/**
 * Takes what is left of a body that nobody will read, for a while: closing at once would reset the connection and, with
 * it, an answer that the client has not read yet.
 */
export function lingerOnUnreadBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || request.destroyed) return;
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS).unref();
  const stop = () => clearTimeout(timer);
  request.once('end', stop).once('close', stop);
  response.once('error', stop);
  request.resume();
}

/**
 * The bytes of a body as they come, in pieces of at least `gatherBytes` but the last. Pull is the back-pressure: about
 * one piece is read ahead. Leaving early leaves the request alive, so that it can still be answered.
 *
 * @throws StatusError TOO_LARGE as soon as more than maxBytes came, CANCELLED where the client leaves, DEADLINE_EXCEEDED
 *   where nothing comes for a minute; the signal's reason when that aborts
 */
export async function* readBody(
  source: Readable,
  options: { maxBytes: number; gatherBytes: number; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const arrivals = new Arrivals(source, options);
  try {
    for (;;) {
      const piece = await arrivals.take();
      if (!piece) return;
      yield piece;
    }
  } finally {
    arrivals.leave();
  }
}

/** @param sizeBytes where the client said it */
export function tooLarge(maxBytes: number, sizeBytes?: number): StatusError {
  const size = sizeBytes === undefined ? 'the body' : `the body of ${sizeBytes} bytes`;
  return new StatusError('TOO_LARGE', `${size} exceeds the limit of ${maxBytes} bytes`, {
    details: { ...(sizeBytes === undefined ? {} : { size_bytes: sizeBytes }), max_bytes: maxBytes },
  });
}

/** The size that the client declared, or undefined where it sends in chunks. */
export function declaredLength(request: IncomingMessage): number | undefined {
  const text = request.headers['content-length'];
  return text === undefined ? undefined : Number(text); // Node's parser admits digits only
}

export function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || (declaredLength(request) ?? 0) > 0;
}

/** What came of a body and was not taken yet. */
class Arrivals {
  readonly #source: Readable;
  readonly #options: { maxBytes: number; gatherBytes: number; signal: AbortSignal };
  #pieces: Buffer[] = [];
  #held = 0;
  #total = 0;
  #ended: boolean;
  #failure: StatusError | undefined;
  #wake: () => void = () => undefined;

  constructor(source: Readable, options: { maxBytes: number; gatherBytes: number; signal: AbortSignal }) {
    this.#source = source;
    this.#options = options;
    this.#ended = source.readableEnded;
    if (source.destroyed) this.#onClose();
    if (options.signal.aborted) this.#onAbort();
    options.signal.addEventListener('abort', this.#onAbort);
    source.on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onError).on('data', this.#onData);
  }

  /** @returns undefined at the end */
  async take(): Promise<Buffer | undefined> {
    while (!this.#failure && !this.#ended && this.#held < this.#options.gatherBytes) {
      if (this.#source.isPaused()) this.#source.resume();
      const idle = setTimeout(
        () => this.#fail(new StatusError('DEADLINE_EXCEEDED', 'the body stopped coming')),
        IDLE_MS,
      );
      await new Promise<void>((resolve) => (this.#wake = resolve));
      clearTimeout(idle);
    }
    if (this.#failure) throw this.#failure;
    const [first, ...others] = this.#pieces;
    const piece = first && others.length > 0 ? Buffer.concat(this.#pieces, this.#held) : first;
    this.#pieces = [];
    this.#held = 0;
    if (!this.#ended) this.#source.resume(); // the next piece comes while this one is worked on
    return piece;
  }

  leave(): void {
    const source = this.#source;
    source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onError);
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    if (!this.#ended) source.pause();
  }

  readonly #onData = (data: Buffer | string) => {
    const piece = typeof data === 'string' ? Buffer.from(data) : data;
    this.#pieces.push(piece);
    this.#held += piece.length;
    this.#total += piece.length;
    if (this.#total > this.#options.maxBytes) return this.#fail(tooLarge(this.#options.maxBytes));
    if (this.#held < this.#options.gatherBytes) return;
    this.#source.pause();
    this.#wake();
  };

  readonly #onEnd = () => {
    this.#ended = true;
    this.#wake();
  };

  readonly #onClose = () => {
    if (!this.#ended) this.#fail(new StatusError('CANCELLED', 'the caller left within its body'));
  };

  readonly #onError = (cause: Error) => this.#fail(new StatusError('CANCELLED', 'the body broke off', { cause }));

  readonly #onAbort = () => this.#fail(StatusError.from(this.#options.signal.reason));

  #fail(failure: StatusError): void {
    this.#failure ??= failure;
    this.#pieces = [];
    this.#source.pause();
    this.#wake();
  }
}
