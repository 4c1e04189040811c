import type { Kernel } from './kernel.js';

/** A kernel that nobody asked for gives its memory back after so long. */
const UNWANTED_AFTER_MS = 60_000;

/** A kernel that is started before its session's first cell, and becomes the session's when a cell takes it. */
export class SpareKernel {
  readonly #dropped = new AbortController();
  readonly #kernel: Promise<Kernel | undefined>;
  readonly #timer: NodeJS.Timeout;
  #taken = false;

  /** @param start gives up when the signal aborts; whoever needs a kernel finds out again why it failed */
  constructor(start: (signal: AbortSignal) => Promise<Kernel>) {
    this.#kernel = start(this.#dropped.signal).catch(() => undefined);
    this.#timer = setTimeout(() => this.drop(), UNWANTED_AFTER_MS).unref();
  }

  /** The kernel, for its new owner; undefined where it did not start, has died, or was dropped. */
  async take(): Promise<Kernel | undefined> {
    clearTimeout(this.#timer);
    const kernel = await this.#kernel;
    if (!kernel?.alive || this.#dropped.signal.aborted) return undefined;
    this.#taken = true;
    return kernel;
  }

  /** Ends a kernel that was not taken. Safe to repeat. */
  drop(): void {
    if (this.#taken) return;
    clearTimeout(this.#timer);
    this.#dropped.abort(new Error('the spare kernel is not wanted'));
    void this.#kernel.then((kernel) => kernel?.kill());
  }
}
