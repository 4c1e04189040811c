import type { Clock } from '../telemetry/clock.js';

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  #time: number;
  readonly #sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();

  constructor(start = new Date(Date.UTC(2026, 0, 1))) {
    this.#time = start.getTime();
  }

  now(): Date {
    return new Date(this.#time);
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const sleeper = { until: this.#time + milliseconds, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener(
        'abort',
        () => {
          this.#sleepers.delete(sleeper);
          reject(signal.reason as Error);
        },
        { once: true },
      );
    });
  }

  advanceSeconds(seconds: number): void {
    this.#time += seconds * 1000;
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.until > this.#time) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}
