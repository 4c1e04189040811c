import type { Generated } from 'kysely';
import type { ShipState } from '../ships/ship.js';

/** Instants are whole milliseconds since 1970, UTC; what drivers keep is their own JSON. */
export interface Database {
  ships: ShipTable;
  leases: LeaseTable;
  meta: MetaTable;
}

export interface ShipTable {
  id: string;
  state: ShipState;
  incarnation: number;
  fence: number;
  driver: string;
  cpus: number;
  memory_bytes: number;
  max_session_num: number;
  ttl_seconds: number;
  create_time: number;
  update_time: number;
  state_reason: Generated<string>;
  handle: string | null;
  isolation: string | null;
  container_id: string | null;
  ip_address: string | null;
  /** Set by a delete that is under way, so that whoever finds the row after a crash finishes it. */
  removal: Removal | null;
}

/** Whether a deletion keeps the workspaces. */
export type Removal = 'keep-workspace' | 'all';

export interface LeaseTable {
  ship_id: string;
  session_id: string;
  uid: number;
  home_name: string;
  ttl_seconds: number;
  create_time: number;
  last_activity_time: number;
  expire_time: number;
  /** 1 while the session is being ended in its ship: the seat is taken still, and nobody may use it. */
  ending: Generated<number>;
  /** Set when the seat is free. The row stays, for the uid and the workspace. */
  end_time: number | null;
  end_cause: EndCause | null;
}

/** Why a seat was given up: the lease ran out, EndLease was called, or the ship stopped. */
export type EndCause = 'expired' | 'released' | 'stopped';

export interface MetaTable {
  key: 'schema_version' | 'deployment_id' | 'next_uid' | 'probe_time';
  value: string;
}
