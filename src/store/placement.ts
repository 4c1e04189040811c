import { randomUUID } from 'node:crypto';
import type { Kysely, Transaction } from 'kysely';
import type { ShipSpec, UidPolicy } from '../ships/ship.js';
import { grantLease } from './leases.js';
import { toShip, type LeaseRecord, type ShipRecord } from './rows.js';
import type { Database } from './schema.js';
import { countPlaces, hasFreeSeat, selectShips } from './ship-rows.js';
import { readShip } from './transitions.js';

export interface PlaceRequest {
  readonly sessionId: string;
  readonly ttlSeconds: number;
  /** For a ship that this call makes. */
  readonly spec: ShipSpec;
  readonly maxSessionNum: number;
  readonly driver: string;
  readonly now: Date;
  /** MAX_SHIP_NUM. */
  readonly maxShips: number;
  /** False while others wait for a place: running ships only. */
  readonly mayReserve: boolean;
  /** Stopped ships that were found without data, and running ones that proved dead. */
  readonly skip: readonly string[];
  readonly uids: UidPolicy;
}

/** What became of the request; decided, and written down, in one transaction. */
export type Placement =
  /** The session sits in a running ship: its own, or one with a free seat. */
  | { readonly kind: 'seated'; readonly ship: ShipRecord; readonly lease: LeaseRecord }
  /** The session's ship is between two states, or the session is just being ended: look again when it changed. */
  | { readonly kind: 'wait'; readonly ship: ShipRecord }
  /** The session's ship is stopped; restore it where its data are there. */
  | { readonly kind: 'stopped'; readonly ship: ShipRecord }
  /** A place was reserved: the ship is CREATING, and the caller starts it. */
  | { readonly kind: 'reserved'; readonly ship: ShipRecord; readonly lease: LeaseRecord }
  | { readonly kind: 'full' };

export async function place(db: Kysely<Database>, request: PlaceRequest): Promise<Placement> {
  return db.transaction().execute(async (trx) => {
    return (await placeInOwnShip(trx, request)) ?? (await joinShip(trx, request)) ?? (await makeShip(trx, request));
  });
}

/** The seat the session holds; else the ship it used last. */
async function placeInOwnShip(trx: Transaction<Database>, request: PlaceRequest): Promise<Placement | undefined> {
  const rows = await selectShips(trx)
    .innerJoin('leases', 'leases.ship_id', 'ships.id')
    .select(['leases.end_time', 'leases.ending'])
    .where('leases.session_id', '=', request.sessionId)
    .where('ships.removal', 'is', null)
    .$if(request.skip.length > 0, (query) => query.where('ships.id', 'not in', request.skip))
    .orderBy((eb) => eb('leases.end_time', 'is', null), 'desc')
    .orderBy('leases.last_activity_time', 'desc')
    .execute();
  for (const row of rows) {
    const ship = toShip(row);
    if (ship.state === 'STOPPED') return { kind: 'stopped', ship };
    if (ship.state !== 'RUNNING' || row.ending === 1) return { kind: 'wait', ship };
    if (row.end_time === null || ship.currentSessionNum < ship.maxSessionNum) return seat(trx, ship, request);
  }
  return undefined;
}

async function joinShip(trx: Transaction<Database>, request: PlaceRequest): Promise<Placement | undefined> {
  const row = await selectShips(trx)
    .where('ships.state', '=', 'RUNNING')
    .where('ships.removal', 'is', null)
    .where(hasFreeSeat)
    .$if(request.skip.length > 0, (query) => query.where('ships.id', 'not in', request.skip))
    .orderBy('ships.create_time')
    .orderBy('ships.id')
    .executeTakeFirst();
  return row && seat(trx, toShip(row), request);
}

async function seat(trx: Transaction<Database>, ship: ShipRecord, request: PlaceRequest): Promise<Placement> {
  const lease = await grantLease(trx, ship.id, request);
  return { kind: 'seated', ship: (await readShip(trx, ship.id)) ?? ship, lease };
}

async function makeShip(trx: Transaction<Database>, request: PlaceRequest): Promise<Placement> {
  if (!request.mayReserve || (await countPlaces(trx)) >= request.maxShips) return { kind: 'full' };
  const time = request.now.getTime();
  const id = randomUUID();
  await trx
    .insertInto('ships')
    .values({
      id,
      state: 'CREATING',
      incarnation: 1,
      fence: 1,
      driver: request.driver,
      cpus: request.spec.cpus,
      memory_bytes: request.spec.memoryBytes,
      max_session_num: request.maxSessionNum,
      ttl_seconds: request.ttlSeconds,
      create_time: time,
      update_time: time,
    })
    .execute();
  const lease = await grantLease(trx, id, request);
  return { kind: 'reserved', ship: await mustRead(trx, id), lease };
}

export interface RestoreRequest extends Omit<PlaceRequest, 'spec' | 'maxSessionNum' | 'skip'> {
  /** Unset: as before. */
  readonly spec: Partial<ShipSpec>;
}

/**
 * Reserves a place for the next incarnation of a stopped ship.
 *
 * @returns undefined where the ship is no longer the stopped one that the caller saw
 */
export async function restore(
  db: Kysely<Database>,
  ship: ShipRecord,
  request: RestoreRequest,
): Promise<Extract<Placement, { kind: 'reserved' | 'full' }> | undefined> {
  return db.transaction().execute(async (trx) => {
    if (!request.mayReserve || (await countPlaces(trx)) >= request.maxShips) return { kind: 'full' };
    const { numUpdatedRows } = await trx
      .updateTable('ships')
      .set((eb) => ({
        state: 'CREATING',
        incarnation: eb('incarnation', '+', 1),
        fence: eb('fence', '+', 1),
        driver: request.driver,
        ...(request.spec.cpus === undefined ? {} : { cpus: request.spec.cpus }),
        ...(request.spec.memoryBytes === undefined ? {} : { memory_bytes: request.spec.memoryBytes }),
        ttl_seconds: request.ttlSeconds,
        update_time: request.now.getTime(),
        state_reason: '',
      }))
      .where('id', '=', ship.id)
      .where('incarnation', '=', ship.incarnation)
      .where('state', '=', 'STOPPED')
      .where('removal', 'is', null)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return undefined;
    const lease = await grantLease(trx, ship.id, request);
    return { kind: 'reserved', ship: await mustRead(trx, ship.id), lease };
  });
}

async function mustRead(trx: Transaction<Database>, shipId: string): Promise<ShipRecord> {
  const ship = await readShip(trx, shipId);
  if (!ship) throw new Error(`ship ${shipId} is not there in the transaction that wrote it`);
  return ship;
}
