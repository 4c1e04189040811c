import type { Clock, Timer } from './executions/clock.js';

/** How long a ship outlives its longest lease where no Bay is connected. */
export const ALONE_MS = 10 * 60_000;
/** How long an ephemeral ship outlives its last link. */
export const EPHEMERAL_MS = 5_000;
/** How long an ephemeral ship waits for its first link. */
const FIRST_LINK_MS = 60_000;
/** How soon the end of the last execution is seen. */
const LOOK_AGAIN_MS = 1_000;

export interface LeaseKeeperDeps {
  readonly clock: Clock;
  readonly ephemeral: boolean;
  /** Whether any execution is unfinished. */
  busy(): boolean;
  /** Called once: nobody needs the ship any more. */
  end(why: string): void;
}

/**
 * Ends a ship that nobody keeps: no Bay is connected, and the last lease ran out 10 minutes ago, and nothing runs. No ship
 * needs a Bay for its end.
 */
export class LeaseKeeper {
  readonly #deps: LeaseKeeperDeps;
  #links = 0;
  #leaseEndMs: number;
  #linkEndMs: number;
  #timer: Timer | undefined;

  constructor(deps: LeaseKeeperDeps) {
    this.#deps = deps;
    const nowMs = deps.clock.monotonicMs();
    this.#leaseEndMs = nowMs;
    this.#linkEndMs = nowMs + FIRST_LINK_MS - EPHEMERAL_MS;
    this.#arm();
  }

  setLease(remainingMs: number): void {
    this.#leaseEndMs = this.#deps.clock.monotonicMs() + Math.max(0, remainingMs);
    this.#arm();
  }

  /** A Bay is connected until the promise resolves. */
  addLink(closed: Promise<unknown>): void {
    this.#links++;
    this.#timer?.cancel();
    void closed.then(() => {
      this.#links--;
      this.#linkEndMs = this.#deps.clock.monotonicMs();
      this.#arm();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#links = Infinity;
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#links > 0) return;
    const { clock, ephemeral } = this.#deps;
    const end = ephemeral ? this.#linkEndMs + EPHEMERAL_MS : this.#leaseEndMs + ALONE_MS;
    this.#timer = clock.setTimer(Math.max(0, end - clock.monotonicMs()), () => this.#look());
  }

  #look(): void {
    const deps = this.#deps;
    if (deps.ephemeral) deps.end('the last link to Bay is gone');
    else if (deps.busy()) this.#timer = deps.clock.setTimer(LOOK_AGAIN_MS, () => this.#look());
    else deps.end('its leases ran out and no Bay is connected');
  }
}
