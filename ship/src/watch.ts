import { ExecutionState, type Kernel } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { BoundSession, WatchEvent, WatchedExecution } from '../../proto/gen/shipyard/ship/v1/ship.js';
import type { Clock, Timer } from './executions/clock.js';

/** How often watchers hear of sessions with unfinished executions. */
const ACTIVITY_MS = 10_000;
/**
 * How long changes wait for others: a message for each would take a small cell a sixth of its time. What began and ended
 * meanwhile is not told at all.
 */
const GATHER_MS = 100;

export interface WatchDeps {
  readonly clock: Clock;
  /** Aborts when the ship begins to end its work; watchers are told. */
  readonly ending: AbortSignal;
  /** Aborts when the ship stops: every stream ends then, after what it still has to tell. */
  readonly stopping: AbortSignal;
  executions(): WatchedExecution[];
  kernels(): readonly Kernel[];
  sessions(): BoundSession[];
  /** Calls at every change; returns the function that ends it. */
  onExecution(listener: (execution: WatchedExecution) => void): () => void;
  onKernel(listener: (kernel: Kernel) => void): () => void;
}

/**
 * What the ship does: a snapshot, then what changed, until the signal aborts or the ship stops. A watcher receives the newest
 * state of each execution and kernel once, so that a slow one costs no more than there is.
 */
export async function* watch(deps: WatchDeps, signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
  const executions = new Map<string, WatchedExecution>();
  const kernels = new Map<string, Kernel>();
  /** Executions that the watcher believes to go on. */
  const told = new Set<string>();
  let activityDue = false;
  let endTold = false;
  let isDue = deps.ending.aborted;
  let wake: () => void = () => undefined;
  const tell = (): void => {
    isDue = true;
    wake();
  };
  let gathering: Timer | undefined;
  const gather = (): void => void (gathering ??= deps.clock.setTimer(GATHER_MS, tell));
  const unsubscribe = [
    deps.onExecution((execution) => {
      executions.set(nameOf(execution), execution);
      gather();
    }),
    deps.onKernel((kernel) => {
      kernels.set(kernel.sessionId, kernel);
      gather();
    }),
  ];
  let timer: Timer;
  const tick = (): void => {
    activityDue = true;
    tell();
    timer = deps.clock.setTimer(ACTIVITY_MS, tick);
  };
  timer = deps.clock.setTimer(ACTIVITY_MS, tick);
  const signals = [signal, deps.ending, deps.stopping];
  for (const each of signals) each.addEventListener('abort', tell);
  try {
    const snapshot = { executions: deps.executions(), kernels: [...deps.kernels()], sessions: deps.sessions() };
    for (const execution of snapshot.executions) told.add(nameOf(execution));
    yield { event: { $case: 'snapshot', value: snapshot } };
    for (;;) {
      signal.throwIfAborted();
      const isLast = deps.stopping.aborted;
      if (!isDue && !isLast) await new Promise<void>((resolve) => (wake = resolve));
      isDue = false;
      gathering?.cancel();
      gathering = undefined;
      if (deps.ending.aborted && !endTold) {
        endTold = true;
        yield { event: { $case: 'stopping', value: {} } };
      }
      for (const value of taken(executions)) {
        const name = nameOf(value);
        if (value.state !== ExecutionState.ENDED) told.add(name);
        else if (!told.delete(name)) continue;
        yield { event: { $case: 'execution', value } };
      }
      for (const value of taken(kernels)) yield { event: { $case: 'kernel', value } };
      if (isLast) return;
      if (!activityDue) continue;
      activityDue = false;
      const sessionIds = [...new Set(deps.executions().map(({ sessionId }) => sessionId))];
      if (sessionIds.length > 0) yield { event: { $case: 'activity', value: { sessionIds } } };
    }
  } finally {
    timer.cancel();
    gathering?.cancel();
    for (const each of signals) each.removeEventListener('abort', tell);
    for (const end of unsubscribe) end();
  }
}

function nameOf({ sessionId, executionId }: WatchedExecution): string {
  return `${sessionId}\0${executionId}`;
}

/** Takes what is there out, one by one; what comes meanwhile comes too. */
function* taken<V>(changes: Map<string, V>): Generator<V> {
  for (const [key, value] of changes) {
    changes.delete(key);
    yield value;
  }
}
