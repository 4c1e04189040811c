import type { Clock } from '../telemetry/clock.js';

/** A start that takes longer waits for something else than a processor, and holds up nobody. */
export const HOLD_MS = 5_000;

/**
 * Lets so many starts go on at once; the others wait, first come, first served. A start is work for processors: sixteen at
 * once on two of them all answered after 6.5 s; by turns the last did after 5.3 s, and half of them within 3.9 s.
 */
export class StartGate {
  readonly #limit: () => number;
  readonly #clock: Clock;
  #going = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param limit asked whenever a start might begin, since a driver knows its machine only after a while */
  constructor(limit: () => number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** @throws the signal's reason where it aborts before the turn comes; `act` has not begun then */
  async run<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    await this.#turn(signal);
    const over = new AbortController();
    const left = this.#clock.sleep(HOLD_MS, over.signal).then(
      () => this.#leave(),
      () => this.#leave(),
    );
    try {
      return await act();
    } finally {
      over.abort();
      await left;
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(onTurn), 1);
        reject(signal.reason as Error);
      };
      const onTurn = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(onTurn);
      this.#admit();
    });
  }

  #leave(): void {
    this.#going--;
    this.#admit();
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#going < this.#limit()) {
      this.#going++;
      this.#waiting.shift()?.();
    }
  }
}
