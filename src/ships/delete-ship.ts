import { StatusError } from '../../proto/rpc/status-error.js';
import type { ShipRecord } from '../store/store.js';
import { shipNotFound } from './ship-errors.js';
import type { ShipsDeps } from './ships-deps.js';
import { endIncarnation, shutDown } from './stop-ship.js';

/** 0 would be the agent's default. */
const NO_GRACE_MS = 1;

export interface DeleteOptions {
  readonly keepWorkspace: boolean;
}

/**
 * Deletes the ship with everything of it, or all but its workspaces; legal from every state, and final when it returns.
 * The intention is written down first, so that after a crash the reconciler finishes it.
 *
 * @throws StatusError SHIP_NOT_FOUND; DRIVER_UNAVAILABLE: the ship does not run any more, and is deleted later
 */
export async function deleteShip(deps: ShipsDeps, shipId: string, options: DeleteOptions): Promise<void> {
  const removal = options.keepWorkspace ? 'keep-workspace' : 'all';
  const ship = await deps.store.markRemoval(shipId, removal, deps.clock.now());
  if (!ship) throw shipNotFound();
  deps.starts.get(shipId)?.abort(new StatusError('SHIP_START_FAILED', 'the ship was deleted while it started'));
  await finishDelete(deps, ship);
}

/** Does what is left of a deletion. Safe to repeat; waits for whoever is at it. */
export async function finishDelete(deps: ShipsDeps, ship: ShipRecord): Promise<void> {
  await deps.shipLocks.run(ship.id, undefined, async () => {
    const current = await deps.store.getShip(ship.id);
    if (!current?.removal) return;
    await shutDown(deps, current, NO_GRACE_MS);
    await endIncarnation(deps, current);
    if (current.removal === 'all') await deps.driver.removeData(current.id);
    await deps.store.removeShip(current.id);
  });
}
