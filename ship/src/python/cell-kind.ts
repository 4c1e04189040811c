import { isStatusError } from '../../../proto/rpc/status-error.js';
import type { ExecutionHandle, Work, WorkKind } from '../executions/execution.js';
import type { Kernel } from './kernel.js';
import type { Kernels } from './kernels.js';

/** Python cells: each runs in its session's kernel, which is started where there is none. */
export function createCellKind(deps: { kernels: Kernels }): WorkKind {
  return { begin: (execution) => beginCell(deps.kernels, execution) };
}

/** @throws StatusError KERNEL_STATE_LOST, SESSION_NOT_BOUND */
async function beginCell(kernels: Kernels, execution: ExecutionHandle): Promise<Work> {
  const { work } = execution.request;
  if (work?.$case !== 'cell') throw new Error(`not a cell: ${work?.$case}`);
  let kernel: Kernel;
  try {
    kernel = await kernels.acquire(execution.sessionId, {
      generation: work.value.kernelGeneration,
      signal: execution.signal,
    });
  } catch (error) {
    if (isStatusError(error) && error.reason !== 'KERNEL_START_FAILED') throw error;
    return neverStarted((error as Error).message);
  }
  if (execution.signal.aborted) return neverStarted('stopped before it began');
  return kernel.execute(execution, work.value);
}

function neverStarted(reason: string): Work {
  return {
    ended: Promise.resolve({ outcome: { $case: 'couldNotStart', value: { reason } }, statePreserved: false }),
    interrupt: () => undefined,
    stop: () => undefined,
  };
}
