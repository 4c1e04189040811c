import type { Cancellation } from '../../proto/rpc/cancellation.js';
import { shipNotRunning } from '../ship-clients/not-running.js';
import type { CallKind } from '../ship-clients/calls-under-way.js';
import type { ShipLink } from '../ship-clients/ship-link.js';
import type { LeaseRecord, ShipRecord } from '../store/store.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { checkShipId, sessionNotBound, shipNotFound } from './ship-errors.js';
import { STOP_TIMEOUT_MS, type ShipsDeps } from './ships-deps.js';
import { withDeadline } from './with-deadline.js';

const LAST_MOMENT_MS = 1000;

/** A session's right to call its ship, for one call. While it is open, the lease does not run out. */
export interface Seat {
  readonly link: ShipLink;
  /** The call went well: the lease counts anew. */
  renew(): void;
  /** The call is over, however it went. */
  close(): void;
}

/**
 * Checks that the ship runs and that the session sits in it, and lets the session in where this is its first call of the
 * incarnation. A session whose lease ran out while the ship lives on gets its seat back if one is free.
 *
 * @throws StatusError INVALID_ARGUMENT, SHIP_NOT_FOUND, SHIP_NOT_RUNNING, SESSION_NOT_BOUND, SHIP_UNREACHABLE, TOO_MANY_CALLS
 */
export async function openSeat(
  deps: ShipsDeps,
  shipId: string,
  sessionId: string,
  signal: Cancellation,
  kind?: CallKind,
): Promise<Seat> {
  checkShipId(shipId);
  const { ship, lease } = await findLease(deps, shipId, sessionId, signal);
  const link = deps.links.open(ship);
  const leave = link.enter(sessionId, kind);
  // A call in the last moment wins over the reaper, which may have looked already: its claim sees this renewal.
  if (lease.expireTime.getTime() <= deps.clock.now().getTime() + LAST_MOMENT_MS) {
    deps.store.renew(shipId, sessionId, deps.clock.now());
  }
  try {
    await link.bind(lease, ship.fence, signal);
  } catch (error) {
    leave();
    throw error;
  }
  return {
    link,
    renew: () => {
      deps.store.renew(shipId, sessionId, deps.clock.now());
      link.leaseChanged({ now: false });
    },
    close: leave,
  };
}

async function findLease(
  deps: ShipsDeps,
  shipId: string,
  sessionId: string,
  signal: Cancellation,
): Promise<{ ship: ShipRecord; lease: LeaseRecord }> {
  for (;;) {
    const seen = deps.store.changes.version;
    const seat = await deps.store.findSeat(shipId, sessionId);
    if (!seat) throw shipNotFound();
    const { ship, lease } = seat;
    if (ship.state !== 'RUNNING') throw shipNotRunning();
    if (!lease) throw sessionNotBound();
    if (lease.ending) {
      await untilEnded(deps, shipId, seen, signal);
      continue;
    }
    if (!lease.endTime) return { ship, lease };
    const regranted = await deps.store.regrantLease(shipId, sessionId, deps.clock.now());
    if (!regranted) throw sessionNotBound();
    return { ship, lease: regranted };
  }
}

async function untilEnded(deps: ShipsDeps, shipId: string, seen: number, signal: Cancellation): Promise<void> {
  const late = () => new StatusError('SESSION_NOT_BOUND', 'the session is being ended and does not come to an end');
  await withDeadline(deps.clock, STOP_TIMEOUT_MS, late, signal, (bounded) =>
    deps.store.changes.waitFor(shipId, seen, bounded),
  );
}
