import { isStatusError, StatusError } from '../../proto/rpc/status-error.js';
import type { Placement, PlaceRequest, ShipRecord } from '../store/store.js';
import { giveUpSeat } from './end-lease.js';
import { checkShip } from './health.js';
import { refuseFilesOfOthers } from './other-drivers.js';
import type { ShipSpec } from './ship.js';
import { STOP_TIMEOUT_MS, type ShipsDeps } from './ships-deps.js';
import { startShip } from './start-ship.js';
import type { Ticket } from './wait-queue.js';
import { withDeadline } from './with-deadline.js';

export interface CreateOptions {
  readonly sessionId: string;
  readonly ttlSeconds: number;
  /** Unset: the default for a new ship, and as before for a restored one. */
  readonly spec: Partial<ShipSpec>;
  readonly maxSessionNum: number;
}

/**
 * Gives the session a running ship: its own, its stopped one restored, one with a free seat, or a new one, in this
 * order. Every ship that this call reserves it also starts, or leaves no trace of. Parallel calls of one session wait
 * for each other and get the same ship.
 *
 * @throws StatusError SHIP_LIMIT_REACHED, SHIP_WAIT_TIMEOUT, SHIP_START_FAILED, DRIVER_UNAVAILABLE, DRIVER_REFUSED
 */
export async function createShip(deps: ShipsDeps, options: CreateOptions, signal: AbortSignal): Promise<ShipRecord> {
  return deps.sessionLocks.run(options.sessionId, signal, async () => {
    const waiting = new Waiting(deps);
    try {
      return await findPlace(deps, options, waiting, signal);
    } finally {
      waiting.leave();
    }
  });
}

async function findPlace(
  deps: ShipsDeps,
  options: CreateOptions,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<ShipRecord> {
  const skip: string[] = [];
  for (;;) {
    const seen = deps.store.changes.version;
    const request = toPlaceRequest(deps, options, waiting, skip);
    const placement = await deps.store.place(request);
    switch (placement.kind) {
      case 'seated': {
        const ship = await takeSeat(deps, placement, signal);
        if (ship) return ship;
        break;
      }
      case 'wait':
        await untilChanged(deps, placement.ship, seen, signal);
        break;
      case 'stopped': {
        if (!(await deps.driver.hasData(placement.ship.id))) {
          const { sessionId } = options;
          deps.log.warn(
            { shipId: placement.ship.id, sessionId },
            "a stopped ship's files are gone: its session gets a new ship",
          );
          skip.push(placement.ship.id);
          break;
        }
        refuseFilesOfOthers(placement.ship, deps.driver.name);
        const restored = await deps.store.restore(placement.ship, { ...request, spec: options.spec });
        if (restored?.kind === 'reserved') return begin(deps, restored, waiting, signal);
        if (restored?.kind === 'full') await waiting.turn(signal);
        break;
      }
      case 'reserved':
        return begin(deps, placement, waiting, signal);
      case 'full':
        await waiting.turn(signal);
    }
  }
}

/** The next in the queue need not wait for this ship's start. */
async function begin(
  deps: ShipsDeps,
  reserved: Extract<Placement, { kind: 'reserved' }>,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<ShipRecord> {
  waiting.leave();
  return startShip(deps, reserved, signal);
}

/** Lets the session into a ship that runs; undefined where it turned out not to run any more. */
async function takeSeat(
  deps: ShipsDeps,
  { ship, lease }: Extract<Placement, { kind: 'seated' }>,
  signal: AbortSignal,
): Promise<ShipRecord | undefined> {
  try {
    const link = deps.links.open(ship);
    if (link.stopping) throw new StatusError('SHUTTING_DOWN', 'the ship is stopping');
    await link.bind(lease, ship.fence, signal);
    if (!link.connected) await link.calls(signal);
    link.leaseChanged({ now: true });
    return ship;
  } catch (error) {
    const stopping = isStatusError(error) && error.reason === 'SHUTTING_DOWN';
    if (stopping && (await endsBySelf(deps, ship, signal))) return undefined;
    const gone = isStatusError(error) && ['SHIP_NOT_RUNNING', 'SHIP_UNREACHABLE', 'FENCED'].includes(error.reason);
    if (gone && (await checkShip(deps, ship)) === 'gone') return undefined;
    const fresh = lease.createTime.getTime() === lease.lastActivityTime.getTime();
    if (fresh) void giveUpSeat(deps, lease);
    throw error;
  }
}

/** Waits for a ship whose agent is ending to be found ended, which restores it; false where it takes too long. */
async function endsBySelf(deps: ShipsDeps, ship: ShipRecord, signal: AbortSignal): Promise<boolean> {
  const late = () => new StatusError('SHUTTING_DOWN', 'the ship is stopping, and does not come to an end');
  const ended = withDeadline(deps.clock, STOP_TIMEOUT_MS, late, signal, (bounded) =>
    untilOver(deps, ship, bounded).then(() => true),
  );
  return ended.catch(() => {
    signal.throwIfAborted();
    return false;
  });
}

async function untilOver(deps: ShipsDeps, { id, incarnation }: ShipRecord, signal: AbortSignal): Promise<void> {
  for (;;) {
    const seen = deps.store.changes.version;
    const current = await deps.store.getShip(id);
    if (current?.state !== 'RUNNING' || current.incarnation !== incarnation) return;
    await deps.store.changes.waitFor(id, seen, signal);
  }
}

/**
 * The ship is started, stopped or deleted by somebody, each of which is bounded in time, but for a start of this Bay's own:
 * that may have to wait its turn first.
 */
async function untilChanged(
  deps: ShipsDeps,
  { id: shipId, state, stateReason }: ShipRecord,
  seen: number,
  signal: AbortSignal,
): Promise<void> {
  const change = (bounded: AbortSignal) => deps.store.changes.waitFor(shipId, seen, bounded);
  if (deps.starts.has(shipId)) return change(signal);
  const doing = state === 'CREATING' ? 'started' : 'stopped';
  const message = `the session's ship is being ${doing} and does not come to an end`;
  const late = () => new StatusError('DRIVER_UNAVAILABLE', [message, stateReason].filter(Boolean).join(': '));
  await withDeadline(deps.clock, deps.settings.startTimeoutMs + STOP_TIMEOUT_MS, late, signal, change);
}

/** One caller's wait for a place, over as many looks as it takes. */
class Waiting {
  readonly #deps: ShipsDeps;
  ticket: Ticket | undefined;
  #leftMs: number;

  constructor(deps: ShipsDeps) {
    this.#deps = deps;
    this.#leftMs = deps.settings.waitMs;
  }

  /** @throws StatusError SHIP_LIMIT_REACHED where nobody may wait, SHIP_WAIT_TIMEOUT */
  async turn(signal: AbortSignal): Promise<void> {
    const { clock, queue, settings } = this.#deps;
    if (settings.whenFull === 'reject') {
      throw new StatusError('SHIP_LIMIT_REACHED', 'Maximum number of ships reached', {
        details: { max_ships: settings.maxShips },
      });
    }
    const ticket = (this.ticket ??= queue.join());
    const began = clock.now().getTime();
    const late = () => new StatusError('SHIP_WAIT_TIMEOUT', 'Timeout waiting for available ship slot');
    await withDeadline(clock, this.#leftMs, late, signal, (bounded) => ticket.turn(bounded));
    this.#leftMs = Math.max(0, this.#leftMs - (clock.now().getTime() - began));
  }

  leave(): void {
    if (this.ticket) this.#deps.queue.leave(this.ticket);
    this.ticket = undefined;
  }
}

function toPlaceRequest(deps: ShipsDeps, options: CreateOptions, waiting: Waiting, skip: string[]): PlaceRequest {
  const { defaultSpec, maxShips } = deps.settings;
  return {
    sessionId: options.sessionId,
    ttlSeconds: options.ttlSeconds,
    spec: { ...defaultSpec, ...options.spec },
    maxSessionNum: options.maxSessionNum,
    driver: deps.driver.name,
    now: deps.clock.now(),
    maxShips,
    mayReserve: deps.queue.mayReserve(waiting.ticket),
    skip,
    uids: deps.driver.uids,
  };
}
