import { ExecutionKind, ExecutionState, type Kernel } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { WatchedExecution } from '../../proto/gen/shipyard/ship/v1/ship.js';
import { FakeClock } from './executions/testing/fake-clock.js';
import { watch } from './watch.js';

const KERNEL: Kernel = { sessionId: 's', generation: 1, status: 'busy', executionCount: 1, workspace: '/w' };

describe('what a watcher of a ship hears', () => {
  let clock: FakeClock;
  let end: AbortController;
  let stop: AbortController;
  let leave: AbortController;
  let running: WatchedExecution[];
  let tellExecution: (execution: WatchedExecution) => void;
  let tellKernel: (kernel: Kernel) => void;
  let heard: string[];
  let over: Promise<void>;

  const execution = (executionId: string, state: ExecutionState): WatchedExecution => ({
    sessionId: 's',
    executionId,
    kind: ExecutionKind.CELL,
    state,
  });

  async function start(...already: WatchedExecution[]): Promise<void> {
    clock = new FakeClock();
    [end, stop, leave] = [new AbortController(), new AbortController(), new AbortController()];
    [heard, running] = [[], already];
    const deps = {
      clock,
      ending: end.signal,
      stopping: stop.signal,
      executions: () => running,
      kernels: () => [],
      sessions: () => [],
      onExecution: (listener: typeof tellExecution) => ((tellExecution = listener), () => undefined),
      onKernel: (listener: typeof tellKernel) => ((tellKernel = listener), () => undefined),
    };
    over = (async () => {
      for await (const { event } of watch(deps, leave.signal)) {
        if (event?.$case === 'execution') heard.push(`${event.value.executionId} ${event.value.state.slice(16)}`);
        else heard.push(event?.$case === 'kernel' ? `kernel ${event.value.status}` : event!.$case);
      }
    })();
    await settled();
  }

  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await settled();
  };

  it('is told what changed once a tenth of a second, as it is by then', async () => {
    await start();
    tellExecution(execution('a', ExecutionState.QUEUED));
    tellExecution(execution('a', ExecutionState.RUNNING));
    tellKernel(KERNEL);
    await pass(99);
    expect(heard).toEqual(['snapshot']);
    await pass(1);
    expect(heard).toEqual(['snapshot', 'a RUNNING', 'kernel busy']);
    tellExecution(execution('a', ExecutionState.ENDED));
    await pass(100);
    expect(heard.slice(3)).toEqual(['a ENDED']);
  });

  it('is not told of work that was over before', async () => {
    await start();
    tellExecution(execution('short', ExecutionState.RUNNING));
    tellExecution(execution('short', ExecutionState.ENDED));
    await pass(100);
    expect(heard).toEqual(['snapshot']);
  });

  it('is told the end of what was in the snapshot', async () => {
    await start(execution('old', ExecutionState.RUNNING));
    tellExecution(execution('old', ExecutionState.ENDED));
    await pass(100);
    expect(heard).toEqual(['snapshot', 'old ENDED']);
  });

  it('hears of sessions with unfinished work every ten seconds', async () => {
    await start(execution('old', ExecutionState.RUNNING));
    await pass(10_000);
    expect(heard).toEqual(['snapshot', 'activity']);
    running = [];
    await pass(10_000);
    expect(heard).toEqual(['snapshot', 'activity']);
  });

  it('is told at once that the ship begins to end its work', async () => {
    await start();
    tellExecution(execution('a', ExecutionState.RUNNING));
    end.abort();
    await settled();
    expect(heard).toEqual(['snapshot', 'stopping', 'a RUNNING']);
  });

  it('is told at once what is left where the ship stops, and comes to an end', async () => {
    await start();
    tellExecution(execution('a', ExecutionState.RUNNING));
    stop.abort();
    await over;
    expect(heard).toEqual(['snapshot', 'a RUNNING']);
  });

  it('ends with the reason for which it leaves', async () => {
    await start();
    const reason = new Error('left');
    leave.abort(reason);
    await expect(over).rejects.toBe(reason);
  });
});
