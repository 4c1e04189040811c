import type { Driver } from '../drivers/driver.js';
import type { ShipDialer } from '../ship-clients/dial-ship.js';
import { ShipLinks } from '../ship-clients/ship-links.js';
import type { Store } from '../store/store.js';
import type { Clock } from '../telemetry/clock.js';
import type { Log } from '../telemetry/log.js';
import { HealthWatch } from './health.js';
import { KeyedLock } from './keyed-lock.js';
import { PendingWork } from './pending-work.js';
import { Reaper } from './reaper.js';
import { Reconciler } from './reconciler.js';
import type { ShipsDeps, ShipsSettings } from './ships-deps.js';
import { StartGate } from './start-gate.js';
import { WaitQueue } from './wait-queue.js';

export interface OpenShipsOptions {
  readonly store: Store;
  readonly driver: Driver;
  readonly dialer: ShipDialer;
  /** The deployment's. */
  readonly key: Buffer;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ShipsDeps['metrics'];
  readonly settings: ShipsSettings;
}

export interface OpenShips {
  readonly deps: ShipsDeps;
  readonly reaper: Reaper;
  readonly reconciler: Reconciler;
  /** Looks after ships until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Gives every link up; the ships live on. */
  close(): void;
}

/** A start also waits, for disks and for the engine, and leaves its processor to another meanwhile. */
const LEAST_AT_ONCE = 2;

/** Puts together what looks after ships. Nothing acts before it is asked to. */
export function openShips({ store, driver, dialer, key, clock, log, metrics, settings }: OpenShipsOptions): OpenShips {
  const queue = new WaitQueue();
  const links = new ShipLinks({
    dialer,
    log,
    key,
    driver,
    onActivity: (shipId, sessionIds) => {
      for (const sessionId of sessionIds) store.renew(shipId, sessionId, clock.now());
    },
    onTrouble: ({ shipId, incarnation }) => health.suspect({ id: shipId, incarnation }),
    onDeath: (ship, death) => health.died(ship, death),
    readLease: async (shipId) => {
      const ship = await store.getShip(shipId);
      if (!ship?.expireTime) return undefined;
      return { fence: ship.fence, remainingMs: Math.max(0, ship.expireTime.getTime() - clock.now().getTime()) };
    },
  });
  const deps: ShipsDeps = {
    store,
    driver,
    links,
    clock,
    log,
    metrics,
    queue,
    sessionLocks: new KeyedLock(),
    shipLocks: new KeyedLock(),
    leaseLocks: new KeyedLock(),
    starts: new Map(),
    undoing: new PendingWork(),
    startGate: new StartGate(() => Math.max(LEAST_AT_ONCE, driver.startsAtOnce ?? Infinity), clock),
    settings,
  };
  const health = new HealthWatch(deps);
  const reaper = new Reaper(deps);
  const reconciler = new Reconciler(deps);
  const forget = store.changes.onFreed(() => queue.freed());
  return {
    deps,
    reaper,
    reconciler,
    run: async (signal) => {
      await Promise.all([reaper.run(signal), reconciler.run(signal)]);
    },
    close: () => {
      forget();
      links.closeAll();
    },
  };
}
