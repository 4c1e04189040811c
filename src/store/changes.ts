/**
 * Tells waiters in this process that a ship's row or leases changed. To miss nothing, note `version`, read the store,
 * then wait for what is newer.
 */
export class Changes {
  #version = 0;
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #freed = new Set<() => void>();

  get version(): number {
    return this.#version;
  }

  /** Resolves at the first change of the ship after `seen`, perhaps spuriously; rejects when the signal aborts. */
  async waitFor(shipId: string, seen: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#version !== seen) return;
    const waiters = this.#waiters.get(shipId) ?? new Set();
    this.#waiters.set(shipId, waiters);
    let wake: () => void = () => undefined;
    let abort: () => void = () => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        wake = resolve;
        abort = () => reject(signal.reason as Error);
        waiters.add(wake);
        signal.addEventListener('abort', abort, { once: true });
      });
    } finally {
      signal.removeEventListener('abort', abort);
      waiters.delete(wake);
      if (waiters.size === 0 && this.#waiters.get(shipId) === waiters) this.#waiters.delete(shipId);
    }
  }

  /** Calls back whenever a ship or a seat became free. */
  onFreed(callback: () => void): () => void {
    this.#freed.add(callback);
    return () => this.#freed.delete(callback);
  }

  /** For the store: after the transaction. */
  emit(shipId: string, options: { freed?: boolean } = {}): void {
    this.#version += 1;
    for (const wake of this.#waiters.get(shipId) ?? []) wake();
    if (options.freed) for (const callback of this.#freed) callback();
  }
}
