import type { Cancellation } from '../../../proto/rpc/cancellation.js';
import { isLinkLost } from '../../../proto/rpc/link-lost.js';
import type { Clock, Timer } from './clock.js';

/** How long work that belongs to a call waits for Bay to come back, where only the link to Bay was lost. */
export const REATTACH_MS = 10_000;

/**
 * Whose work it is, for work that belongs to its call: it is abandoned when the last call that owns it has left. Where
 * that call was lost with the link to Bay, there is time to come back, and whoever reads then owns the work.
 */
export class CallOwnership {
  readonly #owners = new Set<Cancellation>();
  readonly #readers = new Set<Cancellation>();
  #timer: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly abandon: () => void,
  ) {}

  /** Makes a call an owner until its signal aborts. */
  add(call: Cancellation): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#owners.add(call);
    this.#whenAborted(call);
  }

  /** A call that reads. It owns nothing, unless the owner was lost with its link, before now or later. */
  addReader(call: Cancellation): void {
    if (this.#timer) return this.add(call);
    this.#readers.add(call);
    this.#whenAborted(call);
  }

  /** A call is over, also without its signal aborting, as when its reader stops reading. */
  leave(call: Cancellation): void {
    this.#readers.delete(call);
    if (!this.#owners.delete(call) || this.#owners.size > 0) return;
    if (!isLinkLost(call.reason)) {
      this.abandon();
      return;
    }
    // Bay may have dialled again before the end of the old link was seen here.
    for (const reader of this.#readers) if (!reader.aborted) this.#owners.add(reader);
    this.#readers.clear();
    if (this.#owners.size > 0) return;
    this.#timer = this.clock.setTimer(REATTACH_MS, () => {
      this.#timer = undefined;
      this.abandon();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#owners.clear();
    this.#readers.clear();
  }

  #whenAborted(call: Cancellation): void {
    if (call.aborted) this.leave(call);
    else call.addEventListener('abort', () => this.leave(call), { once: true });
  }
}
