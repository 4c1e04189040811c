import type { KernelService, WorkKind } from '../executions/execution.js';
import type { PartDeps } from '../part-deps.js';
import { createCellKind } from './cell-kind.js';
import { Kernels } from './kernels.js';

/** Python for the ship's sessions. Starts nothing by itself, and loads ZeroMQ with the first kernel. */
export function openPython(deps: PartDeps): { cells: WorkKind; kernels: KernelService } {
  const kernels = new Kernels({
    stateDir: deps.config.stateDir,
    // SHIP_ENV_SHIPYARD_KERNEL=stock of Bay: an unmodified ipykernel, less exact and slower.
    launcher: deps.config.environment['SHIPYARD_KERNEL'] === 'stock' ? 'stock' : 'shipyard',
    log: deps.log,
    sessions: deps.sessions,
    background: (sessionId) => deps.background(sessionId),
  });
  return { cells: createCellKind({ kernels }), kernels };
}
