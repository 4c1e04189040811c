import type { LeaseRecord, ShipRecord } from '../store/store.js';
import { sessionNotBound, shipNotFound } from './ship-errors.js';
import { STOP_TIMEOUT_MS, type ShipsDeps } from './ships-deps.js';

/**
 * Gives a session's seat up. Its executions end first; its workspace stays. The ship runs on until the lease's time.
 *
 * @throws StatusError SHIP_NOT_FOUND, SESSION_NOT_BOUND; SHIP_UNREACHABLE: the seat becomes free later
 */
export async function endLease(deps: ShipsDeps, shipId: string, sessionId: string): Promise<ShipRecord> {
  const lease = await deps.store.beginEnding(shipId, sessionId);
  if (!lease) {
    if (!(await deps.store.getShip(shipId))) throw shipNotFound();
    throw sessionNotBound();
  }
  await finishLease(deps, lease);
  const ship = await deps.store.getShip(shipId);
  if (!ship) throw shipNotFound();
  return ship;
}

/** Does what is left of the end of a claimed lease. Safe to repeat; waits for whoever is at it. */
export async function finishLease(deps: ShipsDeps, lease: LeaseRecord): Promise<void> {
  const { shipId, sessionId } = lease;
  await deps.leaseLocks.run(`${shipId}/${sessionId}`, undefined, async () => {
    const seat = await deps.store.findSeat(shipId, sessionId);
    if (!seat?.lease?.ending || seat.ship.state !== 'RUNNING') return;
    const link = deps.links.open(seat.ship);
    await link.endSession(sessionId, seat.ship.fence, AbortSignal.timeout(STOP_TIMEOUT_MS));
    const now = deps.clock.now();
    await deps.store.finishEnding(lease, lease.expireTime.getTime() <= now.getTime() ? 'expired' : 'released', now);
  });
}

/** Undoes a seat that was taken and could not be used; where even that fails, the reaper does it. */
export async function giveUpSeat(deps: ShipsDeps, lease: LeaseRecord): Promise<void> {
  try {
    const claimed = await deps.store.beginEnding(lease.shipId, lease.sessionId);
    if (claimed) await finishLease(deps, claimed);
  } catch (error) {
    deps.log.warn({ shipId: lease.shipId, err: error }, 'could not free a seat; the reaper will');
  }
}
