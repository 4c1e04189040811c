import { shipNotRunning } from '../ship-clients/not-running.js';
import type { ShipRecord } from '../store/store.js';
import { shipNotFound } from './ship-errors.js';
import type { ShipsDeps } from './ships-deps.js';

/**
 * Sets the end of every lease of the ship to now + ttl; can shorten. Later use renews by the same ttl.
 *
 * @throws StatusError SHIP_NOT_FOUND, SHIP_NOT_RUNNING
 */
export async function extendTtl(deps: ShipsDeps, shipId: string, ttlSeconds: number): Promise<ShipRecord> {
  const ship = await deps.store.extendLeases(shipId, ttlSeconds, deps.clock.now());
  if (ship) {
    deps.links.get(shipId)?.leaseChanged({ now: true });
    return ship;
  }
  throw (await deps.store.getShip(shipId)) ? shipNotRunning() : shipNotFound();
}
