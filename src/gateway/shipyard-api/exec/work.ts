/** What cells and commands of the documented routes share. */
import type { ExecCall } from './call.js';

/** The longest delay that timers take, 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

/** @param seconds null: no bound; 0 and less: at once, as Python's wait_for */
export function workTimeoutMs(seconds: number | null): number {
  if (seconds === null) return 0;
  return Math.max(1, Math.min(LONGEST_MS, seconds * 1000));
}

/** The log of an execution of this session from its first event. */
export function readAgain(call: ExecCall, executionId: string): AsyncIterable<Uint8Array> {
  const { shipId, sessionId, deps, options } = call;
  const request = { shipId, sessionId, executionId, fromSequence: 0, strict: false };
  return deps.executions.attachExecution(request, options);
}
