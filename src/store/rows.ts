import type { Selectable } from 'kysely';
import type { Isolation, Lease, Ship } from '../ships/ship.js';
import type { LeaseTable, Removal, ShipTable } from './schema.js';

/** A ship with what its leases say of it. */
export interface ShipRecord extends Ship {
  /** Sessions that hold a seat. */
  readonly currentSessionNum: number;
  /** When the last lease ends; undefined where the ship does not run. */
  readonly expireTime: Date | undefined;
  /** A deletion that is under way. */
  readonly removal: Removal | undefined;
}

export interface LeaseRecord extends Lease {
  /** Being ended in the ship: the seat is taken still, and nobody may use it. */
  readonly ending: boolean;
  readonly endCause: LeaseTable['end_cause'];
}

export interface ShipRow extends Selectable<ShipTable> {
  readonly current_session_num: number;
  readonly expire_time: number | null;
}

export function toShip(row: ShipRow): ShipRecord {
  return {
    id: row.id,
    state: row.state,
    incarnation: row.incarnation,
    fence: row.fence,
    driver: row.driver,
    spec: { cpus: row.cpus, memoryBytes: row.memory_bytes },
    maxSessionNum: row.max_session_num,
    ttlSeconds: row.ttl_seconds,
    createTime: new Date(row.create_time),
    updateTime: new Date(row.update_time),
    stateReason: row.state_reason,
    handle: row.handle === null ? undefined : (JSON.parse(row.handle) as Record<string, unknown>),
    isolation: row.isolation === null ? undefined : (JSON.parse(row.isolation) as Isolation),
    containerId: row.container_id ?? undefined,
    ipAddress: row.ip_address ?? undefined,
    currentSessionNum: row.current_session_num,
    expireTime: row.state === 'RUNNING' && row.expire_time !== null ? new Date(row.expire_time) : undefined,
    removal: row.removal ?? undefined,
  };
}

export function toLease(row: Selectable<LeaseTable>): LeaseRecord {
  return {
    shipId: row.ship_id,
    sessionId: row.session_id,
    uid: row.uid,
    homeName: row.home_name,
    ttlSeconds: row.ttl_seconds,
    createTime: new Date(row.create_time),
    lastActivityTime: new Date(row.last_activity_time),
    expireTime: new Date(row.expire_time),
    endTime: row.end_time === null ? undefined : new Date(row.end_time),
    ending: row.ending === 1,
    endCause: row.end_cause,
  };
}
