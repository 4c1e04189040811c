import { isStatusError, StatusError } from '../../proto/rpc/status-error.js';
import type { LeaseRecord, ShipRecord } from '../store/store.js';
import { stopwatch } from '../telemetry/stopwatch.js';
import type { Clock } from '../telemetry/clock.js';
import type { ShipsDeps } from './ships-deps.js';
import { endIncarnation } from './stop-ship.js';
import { withDeadline } from './with-deadline.js';

/** A start that fails on an engine that is well leaves nothing when its caller hears of it. */
const UNDO_GRACE_MS = 1_000;

export interface ReservedShip {
  readonly ship: ShipRecord;
  readonly lease: LeaseRecord;
}

/**
 * Brings a reserved ship to life: starts it, dials it until it says Hello, lets its first session in. Whatever fails,
 * and whoever leaves, everything is undone: a new ship vanishes, a restored one is stopped again. Where that takes long, it
 * goes on behind the caller's back, with the ship's lock.
 *
 * @throws StatusError SHIP_START_FAILED, DRIVER_UNAVAILABLE, DRIVER_REFUSED, or the signal's reason
 */
export async function startShip(deps: ShipsDeps, reserved: ReservedShip, signal: AbortSignal): Promise<ShipRecord> {
  const { ship } = reserved;
  const aborter = new AbortController();
  deps.starts.set(ship.id, aborter);
  const outer = AbortSignal.any([signal, aborter.signal]);
  return new Promise((resolve, reject) => {
    const start = deps.shipLocks.run(ship.id, undefined, async () => {
      try {
        return await inItsTurn(deps, reserved, outer).finally(() => deps.starts.delete(ship.id));
      } catch (error) {
        const failure = toStartFailure(error);
        deps.log.warn({ shipId: ship.id, incarnation: ship.incarnation, err: error }, 'a ship did not start');
        const undone = deps.undoing.own(undoStart(deps, ship, failure.message));
        await withPatience(deps.clock, UNDO_GRACE_MS, () => reject(failure), undone);
        throw failure;
      }
    });
    start.then(resolve, reject);
  });
}

/** Waits for the work to its end, and tells once that it takes longer than this. */
async function withPatience(clock: Clock, ms: number, onLong: () => void, work: Promise<void>): Promise<void> {
  const over = new AbortController();
  clock.sleep(ms, over.signal).then(onLong, () => undefined);
  try {
    await work;
  } finally {
    over.abort();
  }
}

/** Waits for the start's turn, and bounds it from then on. */
function inItsTurn(deps: ShipsDeps, { ship, lease }: ReservedShip, signal: AbortSignal): Promise<ShipRecord> {
  const { startTimeoutMs } = deps.settings;
  const late = () =>
    new StatusError('SHIP_START_FAILED', `Ship failed to become ready within ${startTimeoutMs / 1000} seconds`);
  const queued = stopwatch();
  return deps.startGate.run(signal, () => {
    const queue = queued();
    return withDeadline(deps.clock, startTimeoutMs, late, signal, (bounded) =>
      bringUp(deps, ship, lease, { queue, signal: bounded }),
    );
  });
}

async function bringUp(
  deps: ShipsDeps,
  ship: ShipRecord,
  lease: LeaseRecord,
  { queue, signal }: { readonly queue: number; readonly signal: AbortSignal },
): Promise<ShipRecord> {
  const lap = stopwatch();
  const { sessionId, uid, homeName } = lease;
  const firstSession = { sessionId, uid, homeName };
  const started = await deps.driver.start(ship, { token: deps.links.token(ship), firstSession, signal });
  const driverMs = lap();
  signal.throwIfAborted();
  const recorded = await deps.store.recordStart(ship, started);
  if (!recorded) throw lost();

  const life = new AbortController();
  const link = deps.links.open(recorded);
  try {
    const alive = AbortSignal.any([signal, life.signal]);
    deps.driver.died?.(recorded, alive).then(
      (death) => {
        if (death.state === 'gone')
          life.abort(new StatusError('SHIP_START_FAILED', `the ship died while it started: ${death.reason}`));
      },
      () => undefined, // the deadline notices instead
    );
    await link.calls(alive, deps.settings.startTimeoutMs);
    const hello = lap();
    await link.bind(lease, recorded.fence, alive);
    tellPhases(deps, recorded, { queue, ...(started.phasesMs ?? { start: driverMs }), hello, first_answer: lap() });
  } finally {
    life.abort();
  }
  const running = await deps.store.transition(recorded, 'RUNNING', { now: deps.clock.now() });
  if (!running) throw lost();
  link.leaseChanged({ now: true });
  return running;
}

/** How long each part of a start took: in the queue, of the driver's, until the agent said who it is, until it answered a first call. */
function tellPhases(deps: ShipsDeps, ship: ShipRecord, phasesMs: Readonly<Record<string, number>>): void {
  deps.metrics.shipStarted(deps.driver.name, phasesMs);
  deps.log.info({ shipId: ship.id, incarnation: ship.incarnation, phasesMs }, 'a ship started');
}

/**
 * Removes what is left of a start that failed, here or in a Bay that crashed. FAILED says that somebody is at it, and
 * holds the place until nothing lives any more.
 */
export async function undoStart(deps: ShipsDeps, ship: ShipRecord, reason: string): Promise<void> {
  try {
    const failed = await deps.store.transition(ship, 'FAILED', {
      now: deps.clock.now(),
      reason: `start failed: ${reason}`,
    });
    await endIncarnation(deps, failed ?? ship);
    if (failed) await finishUndo(deps, failed);
  } catch (error) {
    deps.log.error({ shipId: ship.id, err: error }, 'could not undo a start; the reconciler will');
  }
}

/** A ship that never ran holds nobody's work: it vanishes. The caller holds the ship's lock. */
export async function finishUndo(deps: ShipsDeps, failed: ShipRecord): Promise<void> {
  if (failed.incarnation > 1) {
    await deps.store.transition(failed, 'STOPPED', { now: deps.clock.now() });
    return;
  }
  await deps.driver.removeData(failed.id);
  await deps.store.removeShip(failed.id);
}

function lost(): StatusError {
  return new StatusError('SHIP_START_FAILED', 'the ship was deleted while it started');
}

function toStartFailure(thrown: unknown): StatusError {
  const error =
    thrown instanceof Error && thrown.name === 'AbortError' && isStatusError(thrown.cause) ? thrown.cause : thrown;
  if (!isStatusError(error))
    return new StatusError('SHIP_START_FAILED', 'the ship could not be started', { cause: error });
  if (error.reason !== 'SHIP_UNREACHABLE' && error.reason !== 'SHIP_NOT_RUNNING') return error;
  return new StatusError('SHIP_START_FAILED', error.message, { cause: error });
}
