/** Between two questions whether the runner still listens. */
const INTERVAL_MS = 2_000;
/** So many in a row without a sign of life: code of the session may have stopped the runner, which is its own user's. */
const MOST_UNHEARD = 15;

/**
 * Watches a runner while it owes an answer, and only then: an idle session costs nothing. On an overloaded machine a word
 * takes seconds, and what the session holds in memory would be lost for that; half a minute of silence is no load any more.
 */
export class RunnerWatchdog {
  #unheard = 0;
  #timer: NodeJS.Timeout | undefined;
  #owing = false;
  /** Its start has a limit of its own. */
  #hasBegun = false;

  constructor(
    private readonly deps: {
      /** Sends something that the runner answers at once. */
      readonly ask: () => void;
      /** Whether requests wait for their answers. */
      readonly isWaited: () => boolean;
      /** The runner has been silent for too long. */
      readonly onSilent: () => void;
    },
  ) {}

  /** Something was said to the runner. */
  said(): void {
    this.#owing = true;
    this.#timer ??= setTimeout(() => this.#look(), INTERVAL_MS).unref();
  }

  /** Something came from it. */
  heard(): void {
    this.#hasBegun = true;
    this.#owing = false;
    this.#unheard = 0;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    if (!this.#owing && !this.deps.isWaited()) return;
    if (this.#hasBegun) {
      if (this.#unheard >= MOST_UNHEARD) return this.deps.onSilent();
      this.#unheard += 1;
      this.deps.ask();
    }
    this.said();
  }
}
