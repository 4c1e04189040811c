/** The answers of a call of ours, read one at a time: what the reader does not take, the peer does not send. */
import type { CallOptions } from '../definition.js';
import type { Method } from '../service.js';
import { StatusError } from '../status-error.js';
import { encodeMessage, type OutgoingCall } from './outgoing-call.js';

interface Opener {
  open(method: Method, options: CallOptions): OutgoingCall;
}

/** Begins the call with the first next(). */
export class OutgoingStream implements AsyncIterableIterator<unknown> {
  readonly #opener: Opener;
  readonly #method: Method;
  readonly #request: unknown;
  readonly #options: CallOptions;
  #call: OutgoingCall | undefined;
  #done = false;

  constructor(opener: Opener, method: Method, request: unknown, options: CallOptions) {
    this.#opener = opener;
    this.#method = method;
    this.#request = request;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown>> {
    if (this.#done) return { done: true, value: undefined };
    try {
      this.#call ??= this.#begin();
      const message = await this.#call.receiver.next();
      if (message) return { done: false, value: this.#decode(message) };
    } catch (thrown) {
      this.#done = true;
      throw thrown;
    }
    this.#done = true;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<unknown>> {
    if (!this.#done) this.#call?.cancel(new StatusError('CANCELLED', 'the reader left'));
    this.#done = true;
    return { done: true, value: undefined };
  }

  #begin(): OutgoingCall {
    const { requestStream } = this.#method;
    const payload = requestStream
      ? (this.#request as AsyncIterable<unknown>)
      : encodeMessage(this.#method, this.#request);
    const call = this.#opener.open(this.#method, this.#options);
    call.start(payload);
    return call;
  }

  #decode(message: Buffer): unknown {
    try {
      return this.#method.decodeResponse(message);
    } catch (thrown) {
      const error = new StatusError('INTERNAL', 'malformed answer', { cause: thrown });
      this.#call?.cancel(error);
      throw error;
    }
  }
}
