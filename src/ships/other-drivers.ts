/**
 * Ships stay with what made them. Another driver finds nothing of one that lives, and would take it for dead and start it a
 * second time; and it cannot give a stopped one its files, which belong to other users, or lie elsewhere.
 */
import { StatusError } from '../../proto/rpc/status-error.js';
import type { Ship } from './ship.js';
import type { ShipsDeps } from './ships-deps.js';

/** The modes of a driver that differ only in where Bay is. */
const engineOf = (driver: string): string => driver.replace(/-host$/, '');
/** Docker and Podman keep files alike. */
const filesOf = (driver: string): string => engineOf(driver).replace('podman', 'docker');

/** @throws StatusError DRIVER_REFUSED that names the drivers whose ships live, and the remedy */
export async function refuseShipsOfOthers({ store, driver }: Pick<ShipsDeps, 'store' | 'driver'>): Promise<void> {
  const living = await store.listShips(['CREATING', 'RUNNING', 'STOPPING', 'FAILED']);
  const others = living.filter((ship) => engineOf(ship.driver) !== engineOf(driver.name));
  if (others.length === 0) return;
  const names = [...new Set(others.map((ship) => ship.driver))];
  const ships = others.length === 1 ? 'a ship lives' : `${others.length} ships live`;
  const ends = names.map((name) => `CONTAINER_DRIVER=${name} npm run stop -- --all`).join(' and ');
  throw new StatusError(
    'DRIVER_REFUSED',
    `${ships} with ${names.join(' and ')}, and this Bay is to use ${driver.name}: end them first (${ends}), ` +
      `start Bay with CONTAINER_DRIVER=${names[0]}, or give it another DATABASE_URL`,
  );
}

/** @throws StatusError DRIVER_REFUSED where a stopped ship's files are of no use to this driver */
export function refuseFilesOfOthers(ship: Pick<Ship, 'id' | 'driver'>, driver: string): void {
  if (filesOf(ship.driver) === filesOf(driver)) return;
  throw new StatusError(
    'DRIVER_REFUSED',
    `the session's files are in ship ${ship.id}, which ${ship.driver} made and ${driver} cannot restore: ` +
      `start Bay with CONTAINER_DRIVER=${ship.driver}, or delete that ship`,
  );
}
