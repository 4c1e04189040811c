import type { Kysely } from 'kysely';
import type { Isolation, Ship, ShipState } from '../ships/ship.js';
import { toShip, type ShipRecord } from './rows.js';
import type { Database, Removal } from './schema.js';
import { isExpired, selectShips } from './ship-rows.js';

/** The state machine: what each state may be reached from. */
const FROM: Readonly<Record<Exclude<ShipState, 'CREATING'>, readonly ShipState[]>> = {
  RUNNING: ['CREATING'],
  STOPPING: ['RUNNING'],
  STOPPED: ['STOPPING', 'FAILED'],
  FAILED: ['CREATING'],
};

export interface TransitionOptions {
  readonly now: Date;
  /** Only while every lease of the ship ended by this instant. */
  readonly ifExpiredAt?: Date;
  /** Why, for people. Kept from STOPPING and FAILED to STOPPED where it is not given. */
  readonly reason?: string;
}

/** What the driver said of the incarnation. */
export interface StartRecord {
  readonly handle: Readonly<Record<string, unknown>>;
  readonly isolation: Isolation;
  readonly containerId: string;
  readonly ipAddress?: string;
}

/**
 * One conditional UPDATE, fenced by incarnation and state: of all who try, one gets the changed row.
 *
 * @returns undefined where the ship is no longer what the caller believes
 */
export async function transition(
  db: Kysely<Database>,
  ship: Pick<Ship, 'id' | 'incarnation'>,
  to: keyof typeof FROM,
  options: TransitionOptions,
): Promise<ShipRecord | undefined> {
  const { now, ifExpiredAt, reason } = options;
  let update = db
    .updateTable('ships')
    .set((eb) => ({
      state: to,
      fence: eb('fence', '+', 1),
      update_time: now.getTime(),
      ...(reason === undefined ? {} : { state_reason: reason }),
      ...(to === 'STOPPED' ? { handle: null, isolation: null, container_id: null, ip_address: null } : {}),
    }))
    .where('id', '=', ship.id)
    .where('incarnation', '=', ship.incarnation)
    .where('state', 'in', FROM[to]);
  if (to === 'RUNNING') update = update.where('removal', 'is', null);
  if (ifExpiredAt) update = update.where(isExpired(ifExpiredAt));
  const { numUpdatedRows } = await update.executeTakeFirst();
  if (numUpdatedRows === 0n) return undefined;
  if (to === 'STOPPED') await endAllLeases(db, ship.id, now);
  if (to === 'RUNNING') await renewAllLeases(db, ship.id, now);
  return readShip(db, ship.id);
}

/** Notes what the driver started, while the ship is CREATING, so that it can be ended after a crash. */
export async function recordStart(
  db: Kysely<Database>,
  ship: Ship,
  started: StartRecord,
): Promise<ShipRecord | undefined> {
  const { numUpdatedRows } = await db
    .updateTable('ships')
    .set({
      handle: JSON.stringify(started.handle),
      isolation: JSON.stringify(started.isolation),
      container_id: started.containerId,
      ip_address: started.ipAddress ?? null,
    })
    .where('id', '=', ship.id)
    .where('incarnation', '=', ship.incarnation)
    .where('state', '=', 'CREATING')
    .where('removal', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows === 0n ? undefined : readShip(db, ship.id);
}

/** Claims the ship for deletion, in whatever state it is; from then on it neither runs nor is restored. */
export async function markRemoval(
  db: Kysely<Database>,
  shipId: string,
  removal: Removal,
  now: Date,
): Promise<ShipRecord | undefined> {
  await db
    .updateTable('ships')
    .set((eb) => ({
      removal,
      fence: eb('fence', '+', 1),
      update_time: now.getTime(),
      state: eb
        .case()
        .when('state', '=', 'RUNNING')
        .then<ShipState>('STOPPING')
        .when('state', '=', 'CREATING')
        .then<ShipState>('FAILED')
        .else(eb.ref('state'))
        .end(),
      state_reason: eb
        .case()
        .when('state', 'in', ['RUNNING', 'CREATING'])
        .then('deleted by request')
        .else(eb.ref('state_reason'))
        .end(),
    }))
    .where('id', '=', shipId)
    .execute();
  await endAllLeases(db, shipId, now);
  return readShip(db, shipId);
}

/** Removes the row, its leases and with them the right to their uids. */
export async function removeShip(db: Kysely<Database>, shipId: string): Promise<void> {
  await db.deleteFrom('ships').where('id', '=', shipId).execute();
}

export async function readShip(db: Kysely<Database>, shipId: string): Promise<ShipRecord | undefined> {
  const row = await selectShips(db).where('ships.id', '=', shipId).executeTakeFirst();
  return row && toShip(row);
}

/** Cut at now: a lease that had an hour left must not keep the next incarnation alive. */
async function endAllLeases(db: Kysely<Database>, shipId: string, now: Date): Promise<void> {
  const time = now.getTime();
  await db
    .updateTable('leases')
    .set((eb) => ({ expire_time: eb.fn<number>('min', ['expire_time', eb.val(time)]) }))
    .where('ship_id', '=', shipId)
    .execute();
  await db
    .updateTable('leases')
    .set({ end_time: time, end_cause: 'stopped', ending: 0 })
    .where('ship_id', '=', shipId)
    .where('end_time', 'is', null)
    .execute();
}

/** A lease counts from when the ship can be used. */
async function renewAllLeases(db: Kysely<Database>, shipId: string, now: Date): Promise<void> {
  await db
    .updateTable('leases')
    .set((eb) => ({ expire_time: eb(eb('ttl_seconds', '*', 1000), '+', now.getTime()) }))
    .where('ship_id', '=', shipId)
    .where('end_time', 'is', null)
    .execute();
}
