import { StatusError, isStatusError } from '../../../proto/rpc/status-error.js';
import type { EventBody, ExecutionHandle, Outcome, Work, WorkEnd } from '../executions/execution.js';
import type { ProcessExit } from '../workspace/session-runner.js';

/** What the system reported, as an outcome. */
export function toOutcome(exit: ProcessExit): Outcome {
  switch (exit.kind) {
    case 'exited':
      return { $case: 'exited', value: { code: exit.code } };
    case 'signaled':
      return { $case: 'signaled', value: { name: exit.signal } };
    case 'lost':
      return { $case: 'unknown', value: {} };
  }
}

export function toStarted(pid: number): EventBody {
  return {
    $case: 'started',
    value: { startTime: new Date(), pid, kernelGeneration: 0, byteExact: true, lossless: true },
  };
}

/**
 * Work that never began, from what start() threw. A path that leads out of the workspace stays an error with its reason,
 * which the registry knows how to tell.
 */
export function couldNotStart(error: unknown): Work {
  if (!isStatusError(error) || error.reason === 'PATH_OUTSIDE_WORKSPACE' || error.reason === 'SESSION_NOT_BOUND')
    throw error;
  return endedWork({ outcome: { $case: 'couldNotStart', value: { reason: error.message } } });
}

export function endedWork(end: WorkEnd): Work {
  const nothing = (): void => undefined;
  return { ended: Promise.resolve(end), interrupt: nothing, stop: nothing };
}

/** Begins work unless it is to be stopped already. */
export async function beginWork(execution: ExecutionHandle, start: () => Promise<Work>): Promise<Work> {
  try {
    if (execution.signal.aborted) throw new StatusError('CANCELLED', 'it was stopped before it started');
    return await start();
  } catch (error) {
    return couldNotStart(error);
  }
}

/** The program and its arguments: given, or a command line for bash, or (terminals) an interactive bash. */
export function toArgv(request: { command: string; argv: readonly string[] }): readonly string[] {
  if (request.argv.length > 0) return request.argv;
  return request.command === '' ? ['bash'] : ['bash', '-c', request.command];
}
