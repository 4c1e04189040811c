import {
  ShipState as ProtoState,
  type BayServiceDefinition,
  type CreateShipRequest,
} from '../proto/gen/shipyard/bay/v1/bay.js';
import type { Implementation } from '../proto/rpc/definition.js';
import { checkSessionId, invalid } from '../proto/rpc/invalid-argument.js';
import { createShip, type CreateOptions } from './ships/create-ship.js';
import { deleteShip } from './ships/delete-ship.js';
import { endLease } from './ships/end-lease.js';
import { extendTtl } from './ships/extend-ttl.js';
import { MEMORY_GRAMMAR, parseMemoryBytes } from './ships/memory.js';
import { shipNotFound } from './ships/ship-errors.js';
import { toShipMessage, type ShipMessageOptions } from './ships/ship-message.js';
import { streamShipLogs } from './ships/ship-logs.js';
import type { ShipSpec, ShipState } from './ships/ship.js';
import type { ShipsDeps } from './ships/ships-deps.js';
import { ensureStopped, STOPPED_BY_REQUEST } from './ships/stop-ship.js';
import type { ShipRecord } from './store/store.js';

export interface BayServiceDeps extends ShipsDeps {
  readonly server: {
    readonly version: string;
    readonly network: string;
    readonly protocolGeneration: number;
  };
}

/** Bay's own calls: what each is asked for is checked here, what it does is told in ships/. */
export function createBayService(deps: BayServiceDeps): Implementation<typeof BayServiceDefinition> {
  const answer = (ship: ShipRecord, options?: ShipMessageOptions) => toShipMessage(ship, deps.clock.now(), options);
  return {
    createShip: async (request, ctx) =>
      answer(await createShip(deps, toCreateOptions(deps, request), ctx.signal), { fresh: true }),
    getShip: async ({ shipId }) => answer(await getShip(deps, shipId)),
    listShips: async ({ states }) => ({
      ships: (await deps.store.listShips(toStates(states))).map((ship) => answer(ship)),
    }),
    stopShip: async ({ shipId }, ctx) =>
      answer(await ensureStopped(deps, shipId, { reason: STOPPED_BY_REQUEST, signal: ctx.signal })),
    deleteShip: async ({ shipId, keepWorkspace }) => {
      await deleteShip(deps, shipId, { keepWorkspace });
      return {};
    },
    extendTtl: async ({ shipId, ttlSeconds }) =>
      answer(await extendTtl(deps, shipId, checkTtl(ttlSeconds)), { fresh: true }),
    endLease: async ({ shipId, sessionId }) => answer(await endLease(deps, shipId, sessionId)),
    streamShipLogs: ({ shipId, follow }, ctx) => streamShipLogs(deps, shipId, { follow, signal: ctx.signal }),
    getServerInfo: async () => ({
      version: deps.server.version,
      driver: deps.driver.name,
      shipNetwork: deps.server.network,
      protocolGeneration: deps.server.protocolGeneration,
      runningShips: (await deps.store.listShips(['RUNNING'])).length,
      maxShips: deps.settings.maxShips,
    }),
  };
}

async function getShip(deps: BayServiceDeps, shipId: string): Promise<ShipRecord> {
  const ship = await deps.store.getShip(shipId);
  if (!ship) throw shipNotFound();
  return ship;
}

function toCreateOptions({ settings }: BayServiceDeps, request: CreateShipRequest): CreateOptions {
  checkSessionId(request.sessionId);
  const { maxSessionNum = 1, ttlSeconds = settings.defaultTtlSeconds } = request;
  if (!Number.isInteger(maxSessionNum) || maxSessionNum <= 0) {
    throw invalid('max_session_num', 'must be greater than 0', maxSessionNum);
  }
  return { sessionId: request.sessionId, ttlSeconds: checkTtl(ttlSeconds), maxSessionNum, spec: toSpec(request) };
}

/** What the quotas of cgroups can say. */
const LEAST_CPUS = 0.01;
const MOST_CPUS = 4096;

function toSpec({ spec }: CreateShipRequest): Partial<ShipSpec> {
  const parsed: { cpus?: number; memoryBytes?: number } = {};
  if (spec?.cpus !== undefined) {
    if (!(spec.cpus >= LEAST_CPUS && spec.cpus <= MOST_CPUS))
      throw invalid('spec.cpus', `must be ${LEAST_CPUS} to ${MOST_CPUS}`, spec.cpus);
    parsed.cpus = spec.cpus;
  }
  if (spec?.memory !== undefined) {
    const bytes = parseMemoryBytes(spec.memory);
    if (bytes === undefined) throw invalid('spec.memory', `must be ${MEMORY_GRAMMAR}`, spec.memory);
    parsed.memoryBytes = bytes;
  }
  return parsed;
}

/** Beyond this an instant can no longer be said. */
const LONGEST_TTL_SECONDS = 100 * 365 * 24 * 3600;

function checkTtl(ttlSeconds: number): number {
  if (!Number.isInteger(ttlSeconds) || ttlSeconds <= 0)
    throw invalid('ttl_seconds', 'must be greater than 0', ttlSeconds);
  return Math.min(ttlSeconds, LONGEST_TTL_SECONDS);
}

function toStates(states: readonly ProtoState[]): readonly ShipState[] {
  if (states.length === 0) return ['RUNNING'];
  return Object.values(STATES).filter((state) => states.includes(ProtoState[state]));
}

const STATES: readonly ShipState[] = ['CREATING', 'RUNNING', 'STOPPING', 'STOPPED', 'FAILED'];
