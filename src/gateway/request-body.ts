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
 * The bytes of a body as they come, in pieces of at least `gatherBytes` but the last. Pull is the back-pressure. Leaving
 * early leaves the request alive, so that it can still be answered.
 *
 * @throws StatusError TOO_LARGE as soon as more than maxBytes came, CANCELLED where the client leaves, DEADLINE_EXCEEDED
 *   where nothing comes for a minute; the signal's reason when that aborts
 */
export async function* readBody(
  source: Readable,
  options: { maxBytes: number; gatherBytes: number; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let gathered = 0;
  let total = 0;
  for await (const piece of readPieces(source, options.signal)) {
    total += piece.length;
    if (total > options.maxBytes) throw tooLarge(options.maxBytes);
    pieces.push(piece);
    gathered += piece.length;
    if (gathered < options.gatherBytes) continue;
    yield pieces.length === 1 ? piece : Buffer.concat(pieces, gathered);
    pieces = [];
    gathered = 0;
  }
  if (gathered > 0) yield Buffer.concat(pieces, gathered);
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

async function* readPieces(source: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  let wake: () => void = () => undefined;
  let failure: Error | undefined;
  let ended = source.readableEnded;
  const notify = () => wake();
  const onEnd = () => ((ended = true), wake());
  const fail = (error: Error) => ((failure ??= error), wake());
  const onClose = () => (ended ? undefined : fail(new StatusError('CANCELLED', 'the caller left within its body')));
  const onError = (cause: Error) => fail(new StatusError('CANCELLED', 'the body broke off', { cause }));
  const onAbort = () => fail(StatusError.from(signal.reason));
  source.on('readable', notify).on('end', onEnd).on('close', onClose).on('error', onError);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  if (source.destroyed) onClose();
  try {
    for (;;) {
      if (failure) throw failure;
      const piece: unknown = source.read();
      if (piece !== null) {
        yield toBuffer(piece);
        continue;
      }
      if (ended) return;
      const idle = setTimeout(() => fail(new StatusError('DEADLINE_EXCEEDED', 'the body stopped coming')), IDLE_MS);
      await new Promise<void>((resolve) => (wake = resolve));
      clearTimeout(idle);
    }
  } finally {
    source.off('readable', notify).off('end', onEnd).off('close', onClose).off('error', onError);
    signal.removeEventListener('abort', onAbort);
  }
}

function toBuffer(piece: unknown): Buffer {
  return Buffer.isBuffer(piece) ? piece : Buffer.from(piece as string);
}
