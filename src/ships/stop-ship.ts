import { StatusError } from '../../proto/rpc/status-error.js';
import type { ShipRecord } from '../store/store.js';
import { shipNotFound } from './ship-errors.js';
import { STOP_TIMEOUT_MS, type ShipsDeps } from './ships-deps.js';
import { waitWhile } from './wait-while.js';
import { withDeadline } from './with-deadline.js';

export interface StopOptions {
  /** Claim only while every lease ended by this instant, so that a ship renewed since the caller looked is left alone. */
  readonly ifExpiredAt?: Date;
  /** Why, for people: what a ship that no longer runs says of itself. */
  readonly reason: string;
  /** Whether the agent is asked to end its work first; false where it is known to be gone. */
  readonly gently?: boolean;
}

/** What a ship says of itself that somebody asked to stop. */
export const STOPPED_BY_REQUEST = 'stopped by request';

/** Before the agent kills what does not end. */
const GRACE_MS = 500;
/** Bounds the end of all ships together. */
export const STOP_EVERY_TIMEOUT_MS = 60_000;
const SHUTDOWN_TIMEOUT_MS = 3_000;
/** For a Bay that began a moment ago to reach the agent; one that was out of reach for longer is ended by force. */
const CONNECT_MS = 1_000;
/** For the ends of executions to reach their readers, before the agent that answered Shutdown is ended by force. */
const LAST_EVENTS_MS = 1_500;

/**
 * Stops a running ship and keeps its workspace, so that a later createShip can restore it.
 *
 * The claim in the store decides who stops the ship: of an expiry, a user's request and a second Bay, one wins and the
 * others see undefined. Safe to repeat after a crash at any line.
 *
 * @throws StatusError DRIVER_UNAVAILABLE: the ship stays STOPPING and the reconciler finishes it
 */
export async function stopShip(
  deps: ShipsDeps,
  ship: ShipRecord,
  options: StopOptions,
): Promise<ShipRecord | undefined> {
  const { ifExpiredAt, reason } = options;
  const claimed = await deps.store.transition(ship, 'STOPPING', { now: deps.clock.now(), ifExpiredAt, reason });
  if (!claimed) return undefined;
  return finishStop(deps, claimed, options);
}

/** The way from STOPPING to STOPPED; undefined where somebody else went it. */
export async function finishStop(
  deps: ShipsDeps,
  ship: ShipRecord,
  { gently = true }: Pick<StopOptions, 'gently'> = {},
): Promise<ShipRecord | undefined> {
  return deps.shipLocks.run(ship.id, undefined, async () => {
    const current = await deps.store.getShip(ship.id);
    if (current?.state !== 'STOPPING' || current.incarnation !== ship.incarnation) return undefined;
    if (gently) await shutDown(deps, current, GRACE_MS);
    await endIncarnation(deps, current);
    return deps.store.transition(current, 'STOPPED', { now: deps.clock.now() });
  });
}

/**
 * Stops the ship, or waits until whoever stops it is done. A stopped ship is answered as it is, with the reason of the
 * one who stopped it.
 */
export async function ensureStopped(
  deps: ShipsDeps,
  shipId: string,
  { reason, signal }: { readonly reason: string; readonly signal: AbortSignal },
): Promise<ShipRecord> {
  const late = () => new StatusError('DRIVER_UNAVAILABLE', 'the ship did not stop in time; it will be stopped later');
  const timeoutMs = deps.settings.startTimeoutMs + STOP_TIMEOUT_MS;
  return withDeadline(deps.clock, timeoutMs, late, signal, async (bounded) => {
    for (;;) {
      const ship = await waitWhile(deps, shipId, ['CREATING', 'STOPPING', 'FAILED'], bounded);
      if (!ship) throw shipNotFound();
      if (ship.state === 'STOPPED') return ship;
      const stopped = await stopShip(deps, ship, { reason });
      if (stopped) return stopped;
    }
  });
}

/** Closes the link and ends the incarnation by force; the caller holds the ship's lock. */
export async function endIncarnation(deps: ShipsDeps, ship: ShipRecord): Promise<void> {
  deps.links.close(ship.id);
  const late = () =>
    new StatusError('DRIVER_UNAVAILABLE', `the ${deps.driver.name} driver did not end the ship in time`);
  await withDeadline(deps.clock, STOP_TIMEOUT_MS, late, undefined, (signal) => deps.driver.stop(ship, { signal }));
}

/**
 * Lets the agent end its executions, so that their readers see how, and close its logs. What it does not do, the driver's
 * stop does.
 */
export async function shutDown(deps: ShipsDeps, ship: ShipRecord, graceMs: number): Promise<void> {
  if (!ship.handle) return;
  try {
    const link = deps.links.open(ship);
    const signal = AbortSignal.timeout(SHUTDOWN_TIMEOUT_MS);
    const calls = await link.calls(signal, CONNECT_MS);
    const fence = { incarnation: ship.incarnation, number: ship.fence };
    await calls.ship.shutdown({ fence, graceMs }, { signal });
    await link.untilDown(LAST_EVENTS_MS);
  } catch (error) {
    deps.log.debug({ shipId: ship.id, err: error }, 'a ship did not shut itself down');
  }
}
