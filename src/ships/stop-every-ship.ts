import type { ShipsDeps } from './ships-deps.js';
import { ensureStopped, STOP_EVERY_TIMEOUT_MS } from './stop-ship.js';

/**
 * Stops all that lives; workspaces stay. Answers the ships that would not, each of which was logged.
 *
 * @param reason what the ships say of why they do not run
 */
export async function stopEveryShip(
  deps: ShipsDeps,
  reason: string,
): Promise<{ readonly stopped: number; readonly failed: number }> {
  const ships = await deps.store.listShips(['CREATING', 'RUNNING', 'STOPPING', 'FAILED']);
  const signal = AbortSignal.timeout(STOP_EVERY_TIMEOUT_MS);
  const ends = await Promise.allSettled(ships.map((ship) => ensureStopped(deps, ship.id, { reason, signal })));
  const failed = ends.flatMap((end, index) => {
    // A ship that vanished while it was waited for is what was wanted.
    if (end.status === 'fulfilled' || isGone(end.reason)) return [];
    deps.log.error({ shipId: ships[index]?.id, err: end.reason as unknown }, 'could not stop a ship');
    return [index];
  });
  return { stopped: ends.length - failed.length, failed: failed.length };
}

function isGone(thrown: unknown): boolean {
  return thrown instanceof Error && 'reason' in thrown && thrown.reason === 'SHIP_NOT_FOUND';
}
