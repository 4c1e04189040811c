/** Time as the agent uses it; tests bring their own. */
export interface Clock {
  /** Milliseconds that never go back; what deadlines and `elapsed_us` are measured on. */
  monotonicMs(): number;
  /** Milliseconds since 1970; information, and what is compared over restarts. */
  wallMs(): number;
  /** Calls once, after at least delayMs. Does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** setTimeout fires at once beyond this. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, callback) {
    const end = performance.now() + delayMs;
    let timeout: NodeJS.Timeout;
    const arm = (): void => {
      const remaining = Math.max(0, end - performance.now());
      timeout = setTimeout(remaining > MAX_DELAY_MS ? arm : callback, Math.min(Math.ceil(remaining), MAX_DELAY_MS));
      timeout.unref();
    };
    arm();
    return { cancel: () => clearTimeout(timeout) };
  },
};
