import type { Clock, Timer } from '../clock.js';

interface FakeTimer extends Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that moves when told. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: FakeTimer[] = [];

  constructor(readonly epochMs = Date.UTC(2026, 0, 1)) {}

  monotonicMs(): number {
    return this.#now;
  }

  wallMs(): number {
    return this.epochMs + this.#now;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer: FakeTimer = {
      at: this.#now + delayMs,
      callback,
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
    this.#timers.push(timer);
    return timer;
  }

  /** Moves on, firing what falls due in order, and lets promises settle between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#now = Math.max(this.#now, due.at);
      due.cancel();
      due.callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets what is ready run: promises, and immediates such as stream events. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}
