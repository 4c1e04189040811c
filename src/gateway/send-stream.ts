import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { StatusError } from '../../proto/rpc/status-error.js';
import { openBody, type BodyWriter } from './body-writer.js';
import type { StreamFormat, StreamItem } from './event-stream.js';
import { errorBody } from './http-error.js';

const KEEP_ALIVE_MS = 15_000;
/**
 * A stream that is silent for so long gets its head: what fails later is told in its body. A reader may wait for a quiet
 * execution, and EventSource counts as connected by the head; a start has its first event at once, unless the ship cannot
 * be reached, which is known after 10 s and is worth a status.
 */
const READER_HEAD_AFTER_MS = 2_000;
const START_HEAD_AFTER_MS = 12_000;

/** Tests shorten these. */
export interface StreamTiming {
  readonly keepAliveMs: number;
  readonly headAfterMs: number;
}

export const READER_TIMING: StreamTiming = { keepAliveMs: KEEP_ALIVE_MS, headAfterMs: READER_HEAD_AFTER_MS };
export const START_TIMING: StreamTiming = { keepAliveMs: KEEP_ALIVE_MS, headAfterMs: START_HEAD_AFTER_MS };

export interface SendStreamOptions<T> {
  readonly format: StreamFormat;
  readonly signal: AbortSignal;
  readonly toItem: (message: T) => StreamItem;
  /** Answer 204 where the stream ends without an item: there is nothing to come, and EventSource stops asking. */
  readonly emptyIs204?: boolean;
  /** Whether a message is the one that ends a whole stream; without it every end is a good one. */
  readonly isLast?: (message: T) => boolean;
  readonly timing: StreamTiming;
}

/**
 * Answers with a stream of messages, at the reader's pace. What fails before the head is thrown, for an answer with a
 * status of its own; later failures are the body's last item.
 */
export async function sendStream<T>(
  reply: FastifyReply,
  messages: AsyncIterable<T>,
  options: SendStreamOptions<T>,
): Promise<void> {
  const { keepAliveMs, headAfterMs } = options.timing;
  const iterator = messages[Symbol.asyncIterator]();
  let next = iterator.next();
  const early = await firstOf(next, headAfterMs);
  if (early?.done && options.emptyIs204) {
    void reply.code(204).send();
    return;
  }

  const head = { 'content-type': options.format.contentType, 'cache-control': 'no-store', 'x-accel-buffering': 'no' };
  const body = openBody(reply, { status: 200, headers: head }, options.signal);
  const keepAlive = setInterval(() => body.writeIfRoom(options.format.keepAlive), keepAliveMs);
  let exhausted = false;
  let complete = options.isLast === undefined;
  try {
    for (;;) {
      const result = await next;
      if (result.done) break;
      complete ||= options.isLast?.(result.value) ?? false;
      const full = body.write(options.format.item(options.toItem(result.value)));
      if (full) await full;
      next = iterator.next();
    }
    exhausted = true;
    if (!complete) throw new StatusError('INTERNAL', 'the stream broke off before its end');
    await body.end();
  } catch (thrown) {
    if (!exhausted) await iterator.return?.();
    await endWithFailure(reply, body, options.format, thrown);
  } finally {
    clearInterval(keepAlive);
  }
}

/** The first result, or undefined where it takes longer than `afterMs`. */
async function firstOf<T>(first: Promise<IteratorResult<T>>, afterMs: number): Promise<IteratorResult<T> | undefined> {
  const timer = new AbortController();
  try {
    return await Promise.race([first, delay(afterMs, undefined, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}

async function endWithFailure(
  reply: FastifyReply,
  body: BodyWriter,
  format: StreamFormat,
  thrown: unknown,
): Promise<void> {
  if (reply.raw.destroyed) return; // the client left: nobody to tell
  const error = StatusError.from(thrown);
  if (error.reason === 'INTERNAL') reply.log.error({ err: thrown }, 'a stream failed');
  // Not awaited for room: the body ends with it, and end() waits for the client.
  body.write(format.failure(errorBody(error)))?.catch(() => undefined);
  await body.end();
}
