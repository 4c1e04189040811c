import { setTimeout as delay } from 'node:timers/promises';

/** The time, as a dependency: tests move it by hand. */
export interface Clock {
  now(): Date;
  /** Resolves after this time; rejects with the signal's reason when it aborts. Keeps no process alive by itself. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  async sleep(milliseconds, signal) {
    try {
      await delay(milliseconds, undefined, { ref: false, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};
