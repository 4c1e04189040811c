import type { LogChunk } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { shipNotFound } from './ship-errors.js';
import type { ShipsDeps } from './ships-deps.js';

/**
 * What the ship's agent and engine wrote. Of a ship that is not there any more, nothing.
 *
 * @throws StatusError SHIP_NOT_FOUND
 */
export async function* streamShipLogs(
  deps: ShipsDeps,
  shipId: string,
  options: { readonly follow: boolean; readonly signal: AbortSignal },
): AsyncGenerator<LogChunk, void, undefined> {
  const ship = await deps.store.getShip(shipId);
  if (!ship) throw shipNotFound();
  for await (const text of deps.driver.logs(ship, options)) yield { text };
}
