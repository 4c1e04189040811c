import { orAborted } from '../../proto/rpc/or-aborted.js';

/** What goes on when nobody waits for it any more, until somebody does: at the end of Bay. */
export class PendingWork {
  readonly #going = new Set<Promise<unknown>>();

  /** @param work bounds itself */
  own<T>(work: Promise<T>): Promise<T> {
    const over = () => void this.#going.delete(work);
    this.#going.add(work);
    work.then(over, over);
    return work;
  }

  /** Waits until nothing goes on, or the signal aborts. */
  async settled(signal: AbortSignal): Promise<void> {
    while (this.#going.size > 0 && !signal.aborted)
      await orAborted(Promise.allSettled(this.#going), signal).catch(() => undefined);
  }
}
