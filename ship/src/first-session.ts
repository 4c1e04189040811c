/** What is started for the session that the ship is made for, while Bay is still on its way. */
import { ExecutionKind } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { KernelService } from './executions/execution.js';
import type { ExecutionRegistry } from './executions/execution-registry.js';
import type { Log } from './part-deps.js';
import type { Sessions } from './sessions.js';
import type { SessionBinding, SessionRunner } from './workspace/session-runner.js';

/** Starts its sandbox. A failure is told to Bay when it binds the session, which tries again. */
export async function prepareRunner(
  sessions: Pick<Sessions, 'bind'>,
  binding: SessionBinding,
  log: Log,
): Promise<SessionRunner | undefined> {
  try {
    return await sessions.bind(binding);
  } catch (error) {
    log.warn({ err: error }, 'the first session could not be prepared');
    return undefined;
  }
}

export interface PrepareKernelDeps {
  readonly registry: Pick<ExecutionRegistry, 'onChange'>;
  readonly python: () => Promise<{ readonly kernels: KernelService }>;
}

/**
 * Starts a kernel ahead of the first cell. It is dropped when a command comes before any cell: what that installs, a
 * kernel that is there already would not see.
 */
export async function prepareKernel(
  { registry, python }: PrepareKernelDeps,
  sessionId: string,
  runner: Promise<SessionRunner | undefined>,
): Promise<void> {
  let untouched = true;
  let drop = (): void => undefined;
  const forget = registry.onChange((execution) => {
    if (execution.sessionId !== sessionId) return;
    forget();
    untouched = false;
    if (execution.kind !== ExecutionKind.CELL) drop();
  });
  if (!(await runner)) return forget();
  const { kernels } = await python();
  if (!untouched) return;
  kernels.prepare(sessionId);
  drop = () => kernels.dropPrepared(sessionId);
}
