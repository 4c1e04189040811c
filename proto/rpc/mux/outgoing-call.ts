/** A call of ours on a connection: from Open to the peer's Close. */
import type { Close } from '../../gen/shipyard/mux/v1/mux.js';
import { Abortable } from '../abortable.js';
import { abortReason, deadlineExceeded, LONGEST_TIMER_MS } from '../call.js';
import type { Cancellation } from '../cancellation.js';
import type { CallOptions } from '../definition.js';
import type { Method } from '../service.js';
import { StatusError } from '../status-error.js';
import { fromWireStatus } from '../wire-status.js';
import { encodeFrame, encodeOpen, MAX_INLINE_BYTES, MAX_MESSAGE_BYTES } from './frame.js';
import type { LongMessages } from './long-messages.js';
import { MessageReceiver } from './message-receiver.js';
import { MessageSender } from './message-sender.js';
import type { Outbox } from './outbox.js';

/** A peer that has not closed a call so long after its deadline is told to. */
const DEADLINE_GRACE_MS = 1000;

const NO_METADATA = {};
const CALL_OVER = new StatusError('CANCELLED', 'the call is over');

export class OutgoingCall {
  readonly callId: number;
  readonly #method: Method;
  readonly #outbox: Outbox;
  readonly #longMessages: LongMessages;
  readonly #options: CallOptions;
  readonly #inline: boolean;
  readonly #forget: (callId: number) => void;
  /** Made where messages travel in Data frames. */
  #sender: MessageSender | undefined;
  #receiver: MessageReceiver | undefined;
  #requests: Abortable<unknown> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onEnd: ((error: StatusError | undefined, answer: Buffer | undefined) => void) | undefined;
  #answer: Buffer | undefined;
  /** Over for the caller; after a cancel, the peer's Close is still to come. */
  #over = false;
  #error: StatusError | undefined;

  /**
   * @param inline the peer takes a short request with Open
   * @param forget the peer closed the call: its id names nothing any more
   */
  constructor(
    callId: number,
    method: Method,
    options: CallOptions,
    outbox: Outbox,
    longMessages: LongMessages,
    inline: boolean,
    forget: (callId: number) => void,
  ) {
    this.callId = callId;
    this.#method = method;
    this.#options = options;
    this.#outbox = outbox;
    this.#longMessages = longMessages;
    this.#inline = inline;
    this.#forget = forget;
  }

  /** The answers of a stream. */
  get receiver(): MessageReceiver {
    if (!this.#receiver) {
      this.#receiver = new MessageReceiver(this.#longMessages, (bytes) => {
        this.#outbox.control(encodeFrame(this.callId, { $case: 'credit', value: { bytes } }));
      });
      if (this.#over) this.#receiver.end(this.#error);
    }
    return this.#receiver;
  }

  /** @param request an encoded message, or an async iterable of messages */
  start(request: Buffer | AsyncIterable<unknown>): void {
    this.#begin(request);
  }

  /**
   * A call with one answer.
   *
   * @param onEnd hears once how the call ended for the caller: the peer's Close, a cancel, the link
   */
  startUnary(
    request: Buffer | AsyncIterable<unknown>,
    onEnd: (error: StatusError | undefined, answer: Buffer | undefined) => void,
  ): void {
    this.#onEnd = onEnd;
    this.#begin(request);
  }

  #begin(request: Buffer | AsyncIterable<unknown>): void {
    const { signal, metadata, timeoutMs } = this.#options;
    const remainingMs = timeoutMs === undefined ? 0 : Math.ceil(timeoutMs);
    const inlined =
      this.#inline && Buffer.isBuffer(request) && request.length <= MAX_INLINE_BYTES ? request : undefined;
    this.#outbox.control(
      metadata || remainingMs > LONGEST_TIMER_MS
        ? encodeFrame(this.callId, {
            $case: 'open',
            value: {
              method: this.#method.path,
              metadata: metadata ?? NO_METADATA,
              timeoutMs: remainingMs,
              request: inlined,
            },
          })
        : encodeOpen(this.callId, this.#method.path, remainingMs, inlined),
    );
    signal?.addEventListener('abort', this.#onAbort);
    if (remainingMs > 0 && remainingMs <= LONGEST_TIMER_MS) {
      this.#timer = setTimeout(() => this.#expire(remainingMs), remainingMs);
    }
    if (inlined) return;
    const sender = (this.#sender = new MessageSender(this.callId, this.#outbox));
    if (this.#over) sender.close(this.#error ?? CALL_OVER);
    if (Buffer.isBuffer(request)) {
      // A send that must wait rejects when the call ends, of which onEnd and the receiver tell.
      sender.send(request)?.catch(() => undefined);
    } else {
      this.#requests = new Abortable(request);
      void this.#sendAll(this.#requests, sender);
    }
  }

  readonly #onAbort = (): void => this.cancel(abortReason(this.#options.signal as Cancellation));

  async #sendAll(requests: Abortable<unknown>, sender: MessageSender): Promise<void> {
    try {
      for await (const request of requests) {
        const message = encodeMessage(this.#method, request);
        const wait = sender.send(message);
        if (wait) await wait;
        if (this.#over) return;
      }
    } catch (thrown) {
      this.cancel(StatusError.from(thrown)); // the caller's own failure, or nothing where the call is over
      return;
    }
    if (!this.#over) this.#outbox.control(encodeFrame(this.callId, { $case: 'halfClose', value: {} }));
  }

  /** The caller has lost interest: it hears at once, the peer is told, and its Close is awaited. */
  cancel(reason: StatusError): void {
    if (this.#over) return;
    this.#end(reason, true);
    this.#sendCancel();
  }

  /** The peer keeps the same deadline, and its handler is to hear of that and not of a cancel: Cancel only follows late. */
  #expire(timeoutMs: number): void {
    if (this.#over) return;
    this.#end(deadlineExceeded(timeoutMs), true);
    this.#timer = setTimeout(() => this.#sendCancel(), DEADLINE_GRACE_MS).unref();
  }

  #sendCancel(): void {
    this.#outbox.control(encodeFrame(this.callId, { $case: 'cancel', value: {} }));
  }

  received(piece: Buffer, more: boolean): void {
    if (this.#onEnd && !this.#receiver) this.#awaitAnswer();
    const failure = this.receiver.receive(piece, more);
    if (failure) this.cancel(failure);
  }

  /** One that is too long to come with Close. */
  #awaitAnswer(): void {
    const ignore = (): void => undefined; // the end of the call is told by onEnd
    this.receiver.consume({ resolve: (message) => (this.#answer = message), reject: ignore });
  }

  granted(bytes: number): void {
    this.#sender?.grant(bytes);
  }

  closed(close: Close): void {
    this.#forget(this.callId);
    clearTimeout(this.#timer);
    if (close.response && !this.#over) {
      if (this.#onEnd) this.#answer ??= close.response;
      else this.receiver.receiveInline(close.response);
    }
    this.#end(close.code === 0 ? undefined : fromWireStatus(close.code, close.message, close.statusDetails), false);
  }

  /** The connection is gone. */
  lost(error: StatusError): void {
    clearTimeout(this.#timer);
    this.#end(error, false);
  }

  #end(error: StatusError | undefined, discard: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#sender?.close(error ?? CALL_OVER);
    this.#requests?.abort(error ?? CALL_OVER);
    this.#receiver?.end(error, discard);
    this.#onEnd?.(error, this.#answer);
  }
}

/** @throws StatusError TOO_LARGE, INVALID_ARGUMENT */
export function encodeMessage(method: Method, request: unknown): Buffer {
  const message = method.encodeRequest(request);
  if (message.length > MAX_MESSAGE_BYTES) throw tooLarge('the request', message.length);
  return message;
}

export function tooLarge(what: string, sizeBytes: number): StatusError {
  return new StatusError('TOO_LARGE', `${what} has ${sizeBytes} bytes, more than ${MAX_MESSAGE_BYTES}`, {
    details: { size_bytes: sizeBytes, max_bytes: MAX_MESSAGE_BYTES },
  });
}
