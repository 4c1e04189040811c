import { sql, type Kysely, type Transaction } from 'kysely';
import type { UidPolicy } from '../ships/ship.js';
import { toLease, toShip, type LeaseRecord, type ShipRecord } from './rows.js';
import type { Database, EndCause } from './schema.js';
import { hasFreeSeat, selectShips } from './ship-rows.js';
import { readShip } from './transitions.js';

export interface Grant {
  readonly sessionId: string;
  readonly ttlSeconds: number;
  readonly now: Date;
  readonly uids: UidPolicy;
}

/**
 * Gives the session a seat in the ship, or renews the one it has. Uid and home are the session's for as long as the
 * ship's row is there; a new session gets new ones.
 */
export async function grantLease(trx: Transaction<Database>, shipId: string, grant: Grant): Promise<LeaseRecord> {
  const time = grant.now.getTime();
  const held = {
    ttl_seconds: grant.ttlSeconds,
    last_activity_time: time,
    expire_time: time + grant.ttlSeconds * 1000,
    ending: 0,
    end_time: null,
    end_cause: null,
  };
  await trx.updateTable('ships').set({ ttl_seconds: grant.ttlSeconds }).where('id', '=', shipId).execute();
  const { numUpdatedRows } = await trx
    .updateTable('leases')
    .set(held)
    .where('ship_id', '=', shipId)
    .where('session_id', '=', grant.sessionId)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) {
    const uid = await takeUid(trx, shipId, grant.uids);
    const row = { ship_id: shipId, session_id: grant.sessionId, uid, home_name: `session-${uid}`, create_time: time };
    await trx
      .insertInto('leases')
      .values({ ...row, ...held })
      .execute();
  }
  const lease = await readLease(trx, shipId, grant.sessionId);
  if (!lease) throw new Error('a lease is not there in the transaction that wrote it');
  return lease;
}

/** How many uids from the base on are the sessions' of one ship. */
const UIDS_OF_A_SHIP = 10_000;

/** Counts up and never back: no uid meets files that another session left. */
function takeUid(trx: Transaction<Database>, shipId: string, { scope, base }: UidPolicy): Promise<number> {
  return scope === 'ship' ? takeUidInShip(trx, shipId, base) : takeUidInDeployment(trx, base);
}

/** Rows of sessions stay as long as their ship's, so the highest of them is the last that was taken. */
async function takeUidInShip(trx: Transaction<Database>, shipId: string, base: number): Promise<number> {
  const row = await trx
    .selectFrom('leases')
    .select((eb) => eb.fn.max('uid').as('last'))
    .where('ship_id', '=', shipId)
    .where('uid', '>=', base)
    .where('uid', '<', base + UIDS_OF_A_SHIP)
    .executeTakeFirst();
  return row?.last == null ? base : Number(row.last) + 1;
}

async function takeUidInDeployment(trx: Transaction<Database>, base: number): Promise<number> {
  const row = await trx.selectFrom('meta').select('value').where('key', '=', 'next_uid').executeTakeFirst();
  const uid = Math.max(base, Number(row?.value ?? base));
  await trx
    .insertInto('meta')
    .values({ key: 'next_uid', value: String(uid + 1) })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: String(uid + 1) }))
    .execute();
  return uid;
}

export async function readLease(
  db: Kysely<Database>,
  shipId: string,
  sessionId: string,
): Promise<LeaseRecord | undefined> {
  const row = await db
    .selectFrom('leases')
    .selectAll()
    .where('ship_id', '=', shipId)
    .where('session_id', '=', sessionId)
    .executeTakeFirst();
  return row && toLease(row);
}

/** Oldest first; those that were given up too, unless `heldOnly`. */
export async function listLeases(db: Kysely<Database>, shipId: string, heldOnly: boolean): Promise<LeaseRecord[]> {
  const rows = await db
    .selectFrom('leases')
    .selectAll()
    .where('ship_id', '=', shipId)
    .$if(heldOnly, (query) => query.where('end_time', 'is', null))
    .orderBy('create_time')
    .orderBy('session_id')
    .execute();
  return rows.map(toLease);
}

/** Gives a session whose lease ran out its seat back while one is free; undefined where it is not so. */
export async function regrantLease(
  db: Kysely<Database>,
  shipId: string,
  sessionId: string,
  now: Date,
): Promise<LeaseRecord | undefined> {
  const time = now.getTime();
  return db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('leases')
      .set((eb) => ({
        last_activity_time: time,
        expire_time: eb(eb('ttl_seconds', '*', 1000), '+', time),
        ending: 0,
        end_time: null,
        end_cause: null,
      }))
      .where('ship_id', '=', shipId)
      .where('session_id', '=', sessionId)
      .where('end_cause', '=', 'expired')
      .where(
        sql<boolean>`EXISTS (SELECT 1 FROM ships WHERE ships.id = leases.ship_id AND ships.state = 'RUNNING' AND ${hasFreeSeat})`,
      )
      .where(
        sql<boolean>`NOT EXISTS (SELECT 1 FROM leases AS other WHERE other.session_id = leases.session_id AND other.end_time IS NULL)`,
      )
      .executeTakeFirst();
    return numUpdatedRows === 0n ? undefined : readLease(trx, shipId, sessionId);
  });
}

/**
 * Sets the end of every lease of a running ship to now + ttl, and the ttl that later use renews it by.
 *
 * @returns undefined where the ship does not run
 */
export async function extendLeases(
  db: Kysely<Database>,
  shipId: string,
  ttlSeconds: number,
  now: Date,
): Promise<ShipRecord | undefined> {
  const expire = now.getTime() + ttlSeconds * 1000;
  return db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('ships')
      .set({ ttl_seconds: ttlSeconds, update_time: now.getTime() })
      .where('id', '=', shipId)
      .where('state', '=', 'RUNNING')
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return undefined;
    await trx
      .updateTable('leases')
      .set({ ttl_seconds: ttlSeconds, expire_time: expire })
      .where('ship_id', '=', shipId)
      .where((eb) =>
        eb.or([
          eb('end_time', 'is', null),
          // A seat that was given up early still holds the ship until its time.
          eb.and([eb('end_cause', '=', 'released'), eb('expire_time', '>', now.getTime())]),
        ]),
      )
      .execute();
    return readShip(trx, shipId);
  });
}

export interface EndingOptions {
  /** Only where it ran out by this instant. */
  readonly ifExpiredAt?: Date;
}

/** Claims a held lease for its end: from now on nobody uses or renews it, and its seat is taken until it is over. */
export async function beginEnding(
  db: Kysely<Database>,
  shipId: string,
  sessionId: string,
  options: EndingOptions = {},
): Promise<LeaseRecord | undefined> {
  const { ifExpiredAt } = options;
  const { numUpdatedRows } = await db
    .updateTable('leases')
    .set({ ending: 1 })
    .where('ship_id', '=', shipId)
    .where('session_id', '=', sessionId)
    .where('end_time', 'is', null)
    .where('ending', '=', 0)
    .$if(ifExpiredAt !== undefined, (query) => query.where('expire_time', '<=', ifExpiredAt?.getTime() ?? 0))
    .executeTakeFirst();
  return numUpdatedRows === 0n ? undefined : readLease(db, shipId, sessionId);
}

/** Frees the seat of a lease that was claimed by beginEnding. */
export async function finishEnding(
  db: Kysely<Database>,
  lease: Pick<LeaseRecord, 'shipId' | 'sessionId'>,
  cause: EndCause,
  now: Date,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('leases')
    .set({ ending: 0, end_time: now.getTime(), end_cause: cause })
    .where('ship_id', '=', lease.shipId)
    .where('session_id', '=', lease.sessionId)
    .where('ending', '=', 1)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Held leases of running ships that ran out by this instant or are being ended. */
export async function listExpiredLeases(db: Kysely<Database>, at: Date): Promise<LeaseRecord[]> {
  const rows = await db
    .selectFrom('leases')
    .innerJoin('ships', 'ships.id', 'leases.ship_id')
    .selectAll('leases')
    .where('leases.end_time', 'is', null)
    .where((eb) => eb.or([eb('leases.expire_time', '<=', at.getTime()), eb('leases.ending', '=', 1)]))
    .where('ships.state', '=', 'RUNNING')
    .execute();
  return rows.map(toLease);
}

/** What a call on a ship needs to know, in one query. */
export async function findSeat(
  db: Kysely<Database>,
  shipId: string,
  sessionId: string,
): Promise<{ ship: ShipRecord; lease: LeaseRecord | undefined } | undefined> {
  const row = await selectShips(db).where('ships.id', '=', shipId).executeTakeFirst();
  return row && { ship: toShip(row), lease: await readLease(db, shipId, sessionId) };
}
