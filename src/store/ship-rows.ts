import { sql, type Kysely } from 'kysely';
import type { Database } from './schema.js';

/** Ships with their seats counted and their end worked out: the query of every ShipRow. */
export function selectShips(db: Kysely<Database>) {
  return db
    .selectFrom('ships')
    .selectAll('ships')
    .select([
      seats.as('current_session_num'),
      sql<number | null>`(SELECT max(expire_time) FROM leases WHERE leases.ship_id = ships.id)`.as('expire_time'),
    ]);
}

/** Ships that take a place of MAX_SHIP_NUM: whatever may live in the engine. */
export async function countPlaces(db: Kysely<Database>): Promise<number> {
  const row = await db
    .selectFrom('ships')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('state', 'in', ['CREATING', 'RUNNING', 'STOPPING', 'FAILED'])
    .executeTakeFirstOrThrow();
  return row.count;
}

/** Sessions that hold a seat of the ship. */
const seats = sql<number>`(SELECT count(*) FROM leases WHERE leases.ship_id = ships.id AND leases.end_time IS NULL)`;

export const hasFreeSeat = sql<boolean>`${seats} < ships.max_session_num`;

/** No lease of the ship, given up or not, lasts beyond this instant. */
export function isExpired(at: Date) {
  return sql<boolean>`NOT EXISTS (SELECT 1 FROM leases WHERE leases.ship_id = ships.id AND leases.expire_time > ${at.getTime()})`;
}
