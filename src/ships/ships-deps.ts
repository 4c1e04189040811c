import type { Driver } from '../drivers/driver.js';
import type { ShipLinks } from '../ship-clients/ship-links.js';
import type { Store } from '../store/store.js';
import type { Clock } from '../telemetry/clock.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { KeyedLock } from './keyed-lock.js';
import type { PendingWork } from './pending-work.js';
import type { ShipSpec } from './ship.js';
import type { StartGate } from './start-gate.js';
import type { WaitQueue } from './wait-queue.js';

/** What the operations on ships are made of; put together by main. */
export interface ShipsDeps {
  readonly store: Store;
  readonly driver: Driver;
  readonly links: ShipLinks;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'shipStarted'>;
  readonly queue: WaitQueue;
  /** Makes parallel calls of one session wait for each other. */
  readonly sessionLocks: KeyedLock;
  /** By ship id: the driver never starts and stops one ship at once. */
  readonly shipLocks: KeyedLock;
  /** By ship id and session: the end of a lease. */
  readonly leaseLocks: KeyedLock;
  /** Starts that are under way in this process; aborting one makes it undo itself. */
  readonly starts: Map<string, AbortController>;
  /** Starts that failed, and are being undone behind their callers' backs. */
  readonly undoing: PendingWork;
  /** Holds back starts beyond what the driver's machine can do at once. */
  readonly startGate: StartGate;
  readonly settings: ShipsSettings;
}

export interface ShipsSettings {
  readonly maxShips: number;
  readonly whenFull: 'reject' | 'wait';
  /** Bounds a wait for a place. */
  readonly waitMs: number;
  /** Bounds a start, from the call on the driver to the ship's first answer. */
  readonly startTimeoutMs: number;
  readonly defaultTtlSeconds: number;
  readonly defaultSpec: ShipSpec;
}

/** Bounds every act that ends something in the engine. */
export const STOP_TIMEOUT_MS = 30_000;
