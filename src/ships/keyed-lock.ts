/** Runs what belongs to one key one after another, first come, first served. Different keys never wait for each other. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** @throws the signal's reason where it aborts before the turn comes; `act` has not begun then */
  async run<T>(key: string, signal: AbortSignal | undefined, act: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    let release: () => void = () => undefined;
    const own = new Promise<void>((resolve) => (release = resolve));
    const tail = before ? before.then(() => own) : own;
    this.#tails.set(key, tail);
    try {
      if (before) await untilTurn(before, signal);
      signal?.throwIfAborted();
      return await act();
    } finally {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  /** Whether somebody holds or waits for the key. */
  busy(key: string): boolean {
    return this.#tails.has(key);
  }
}

async function untilTurn(before: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return before;
  let abort: () => void = () => undefined;
  const aborted = new Promise<void>((resolve) => (abort = resolve));
  signal.addEventListener('abort', abort, { once: true });
  await Promise.race([before, aborted]);
  signal.removeEventListener('abort', abort);
}
