/** A ship as the original's JSON tells it. */
import { ShipState, type Ship } from '../../../proto/gen/shipyard/bay/v1/bay.js';

export interface ShipResponse {
  readonly id: string;
  /** 1 running, 0 everything else. */
  readonly status: 0 | 1;
  /** UTC without an offset, with microseconds. */
  readonly created_at: string;
  readonly updated_at: string;
  readonly container_id: string | null;
  readonly ip_address: string | null;
  /** Whole seconds. */
  readonly ttl: number;
  readonly max_session_num: number;
  readonly current_session_num: number;
  /** With Z; null where the ship does not run. */
  readonly expires_at: string | null;
  /** Why it does not run; a key beside the original's, only where there is a reason. */
  readonly state_reason?: string;
}

/** Seconds that may pass between renewing a lease and answering it, in which the ttl asked for is still the truth. */
const JUST_RENEWED_SECONDS = 2;

/** @param renewedTtlSeconds the ttl that this very call set, which is then told exactly and not a moment later's rest */
export function toShipResponse(ship: Ship, renewedTtlSeconds?: number): ShipResponse {
  const running = ship.state === ShipState.RUNNING;
  return {
    id: ship.shipId,
    status: running ? 1 : 0,
    created_at: naiveTime(ship.createTime),
    updated_at: naiveTime(ship.updateTime ?? ship.createTime),
    container_id: ship.containerId || null,
    ip_address: ship.ipAddress || null,
    ttl: ttlOf(ship, renewedTtlSeconds),
    max_session_num: ship.maxSessionNum,
    current_session_num: ship.currentSessionNum,
    expires_at: running && ship.expireTime ? `${naiveTime(ship.expireTime)}Z` : null,
    ...(ship.stateReason ? { state_reason: ship.stateReason } : {}),
  };
}

function ttlOf(ship: Ship, renewed: number | undefined): number {
  if (renewed === undefined) return ship.ttlSeconds;
  const late = renewed - ship.ttlSeconds;
  return late > 0 && late <= JUST_RENEWED_SECONDS ? renewed : ship.ttlSeconds;
}

function naiveTime(time: Date | undefined): string {
  return (time ?? new Date(0)).toISOString().replace('Z', '000');
}
