/**
 * Callers that wait for a place, first in, first out. Only the first one may reserve; it looks again when a place
 * became free, and when it leaves the next one looks.
 */
export class WaitQueue {
  readonly #tickets: Ticket[] = [];

  get length(): number {
    return this.#tickets.length;
  }

  /** Whether a caller may take a free place: it is the first, or nobody waits. */
  mayReserve(ticket: Ticket | undefined): boolean {
    return this.#tickets.length === 0 || this.#tickets[0] === ticket;
  }

  /** A new ticket lets its holder look once more, since a place may have become free before it was there to be told. */
  join(): Ticket {
    const ticket = new Ticket();
    this.#tickets.push(ticket);
    if (this.#tickets[0] === ticket) ticket.call();
    return ticket;
  }

  leave(ticket: Ticket): void {
    const index = this.#tickets.indexOf(ticket);
    if (index < 0) return;
    this.#tickets.splice(index, 1);
    if (index === 0) this.#tickets[0]?.call();
  }

  /** A place or a seat became free. */
  freed(): void {
    this.#tickets[0]?.call();
  }
}

export class Ticket {
  #called = false;
  #wake: (() => void) | undefined;

  call(): void {
    this.#called = true;
    this.#wake?.();
  }

  /** Resolves when it is worth another look. @throws the signal's reason */
  async turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#called) {
      const waited = new Promise<void>((resolve) => (this.#wake = resolve));
      const abort = () => this.#wake?.();
      signal.addEventListener('abort', abort, { once: true });
      await waited;
      signal.removeEventListener('abort', abort);
      this.#wake = undefined;
    }
    this.#called = false;
    signal.throwIfAborted();
  }
}
