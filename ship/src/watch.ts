import type { Kernel } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { BoundSession, WatchEvent, WatchedExecution } from '../../proto/gen/shipyard/ship/v1/ship.js';
import type { Clock, Timer } from './executions/clock.js';

/** How often watchers hear of sessions with unfinished executions. */
const ACTIVITY_MS = 10_000;

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
 * What the ship does, as it changes: a snapshot, then changes, until the signal aborts or the ship stops. A watcher that is slow receives the
 * newest state of each execution and kernel once, so that it costs no more than there is.
 */
export async function* watch(deps: WatchDeps, signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
  const executions = new Map<string, WatchedExecution>();
  const kernels = new Map<string, Kernel>();
  let activityDue = false;
  let endTold = false;
  let wake: () => void = () => undefined;
  const unsubscribe = [
    deps.onExecution((execution) => {
      executions.set(`${execution.sessionId}\0${execution.executionId}`, execution);
      wake();
    }),
    deps.onKernel((kernel) => {
      kernels.set(kernel.sessionId, kernel);
      wake();
    }),
  ];
  let timer: Timer;
  const tick = (): void => {
    activityDue = true;
    wake();
    timer = deps.clock.setTimer(ACTIVITY_MS, tick);
  };
  timer = deps.clock.setTimer(ACTIVITY_MS, tick);
  const onAbort = (): void => wake();
  const signals = [signal, deps.ending, deps.stopping];
  for (const each of signals) each.addEventListener('abort', onAbort);
  try {
    const snapshot = { executions: deps.executions(), kernels: [...deps.kernels()], sessions: deps.sessions() };
    yield { event: { $case: 'snapshot', value: snapshot } };
    for (;;) {
      signal.throwIfAborted();
      if (deps.ending.aborted && !endTold) {
        endTold = true;
        yield { event: { $case: 'stopping', value: {} } };
      }
      const idle = executions.size === 0 && kernels.size === 0 && !activityDue;
      if (idle && deps.stopping.aborted) return;
      if (idle)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      for (const value of taken(executions)) yield { event: { $case: 'execution', value } };
      for (const value of taken(kernels)) yield { event: { $case: 'kernel', value } };
      if (!activityDue) continue;
      activityDue = false;
      const sessionIds = [...new Set(deps.executions().map(({ sessionId }) => sessionId))];
      if (sessionIds.length > 0) yield { event: { $case: 'activity', value: { sessionIds } } };
    }
  } finally {
    timer.cancel();
    for (const each of signals) each.removeEventListener('abort', onAbort);
    for (const end of unsubscribe) end();
  }
}

/** Takes what is there out, one by one; what comes meanwhile comes too. */
function* taken<V>(changes: Map<string, V>): Generator<V> {
  for (const [key, value] of changes) {
    changes.delete(key);
    yield value;
  }
}
