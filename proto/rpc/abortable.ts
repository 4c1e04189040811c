/** An async iteration that can be given up from outside, also while a next() is pending. */
import { StatusError } from './status-error.js';

/**
 * Reads `source` until it ends, its reader leaves, or abort() is called: then a pending or the next next() throws the
 * reason, and the source is told by return(). `for await` alone would wait for the source's pending promise, which may
 * never settle once its producer is gone.
 */
export class Abortable<T> implements AsyncIterableIterator<T> {
  readonly #source: AsyncIterator<T>;
  #reject: ((reason: StatusError) => void) | undefined;
  #reason: StatusError | undefined;
  #done = false;

  constructor(source: AsyncIterable<T>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#reason && !this.#done) {
      this.#done = true;
      return Promise.reject(this.#reason);
    }
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#source.next().then(
        (result) => {
          this.#reject = undefined;
          if (result.done) this.#done = true;
          resolve(result);
        },
        (thrown: unknown) => {
          this.#reject = undefined;
          this.#done = true;
          reject(StatusError.from(thrown));
        },
      );
    });
  }

  async return(): Promise<IteratorResult<T>> {
    if (!this.#done) {
      this.#done = true;
      await this.#source.return?.();
    }
    return { done: true, value: undefined };
  }

  /** Does nothing when the iteration is over. */
  abort(reason: StatusError): void {
    if (this.#done || this.#reason) return;
    this.#reason = reason;
    if (this.#reject) {
      this.#done = true;
      this.#reject(reason);
    }
    leave(this.#source);
  }
}

/** Tells a source that nobody reads it any more, without waiting: it may be in the middle of a step. */
export function leave(source: AsyncIterator<unknown>): void {
  // What a source fails with after its reader has gone has nobody left to hear it; the call's own end is told elsewhere.
  source.return?.().then(undefined, () => undefined);
}
