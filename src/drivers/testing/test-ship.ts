import type { Ship } from '../../ships/ship.js';

/** A ship's row as it is when its driver is asked to start it, with limits of 1 CPU and 256 MiB. */
export function testShip(id: string, values: Partial<Ship> = {}): Ship {
  return {
    id,
    state: 'CREATING',
    incarnation: 1,
    fence: 1,
    driver: 'local',
    spec: { cpus: 1, memoryBytes: 256 * 1024 * 1024 },
    maxSessionNum: 2,
    ttlSeconds: 60,
    createTime: new Date(0),
    updateTime: new Date(0),
    stateReason: '',
    handle: undefined,
    isolation: undefined,
    ...values,
  };
}
