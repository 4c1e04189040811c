import { ShipState as ProtoState, type Ship as ShipMessage } from '../../proto/gen/shipyard/bay/v1/bay.js';
import type { ShipRecord } from '../store/store.js';
import { formatMemory } from './memory.js';

export interface ShipMessageOptions {
  /** The leases were renewed in this very call: what was asked for is what remains. */
  readonly fresh?: boolean;
}

export function toShipMessage(ship: ShipRecord, now: Date, { fresh = false }: ShipMessageOptions = {}): ShipMessage {
  const remaining = ship.expireTime ? Math.max(0, (ship.expireTime.getTime() - now.getTime()) / 1000) : 0;
  return {
    shipId: ship.id,
    state: ProtoState[ship.state],
    createTime: ship.createTime,
    updateTime: ship.updateTime,
    expireTime: ship.expireTime,
    ttlSeconds: fresh ? Math.ceil(remaining) : Math.floor(remaining),
    maxSessionNum: ship.maxSessionNum,
    currentSessionNum: ship.currentSessionNum,
    incarnation: ship.incarnation,
    driver: ship.driver,
    containerId: ship.containerId ?? '',
    ipAddress: ship.ipAddress ?? '',
    spec: { cpus: ship.spec.cpus, memory: formatMemory(ship.spec.memoryBytes) },
    isolation: ship.isolation && {
      kind: ship.isolation.kind,
      network: ship.isolation.network,
      limits: [...ship.isolation.limits],
      missing: [...ship.isolation.missing],
      runtime: ship.isolation.runtime ?? '',
    },
    stateReason: ship.stateReason,
  };
}
