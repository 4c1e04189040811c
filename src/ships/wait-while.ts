import type { ShipRecord } from '../store/store.js';
import type { ShipState } from './ship.js';
import type { ShipsDeps } from './ships-deps.js';

/** The ship once it is in none of these states and not being deleted; undefined once it is gone. */
export async function waitWhile(
  deps: Pick<ShipsDeps, 'store'>,
  shipId: string,
  states: readonly ShipState[],
  signal: AbortSignal,
): Promise<ShipRecord | undefined> {
  for (;;) {
    const seen = deps.store.changes.version;
    const ship = await deps.store.getShip(shipId);
    if (!ship || (!states.includes(ship.state) && !ship.removal)) return ship;
    await deps.store.changes.waitFor(shipId, seen, signal);
  }
}
