import { Cause } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { encodeEvent } from './event-encoding.js';
import type { AcceptedExecution, RecordedEnd } from './execution-index.js';

/**
 * The end of an execution that was not seen, as its agent died: at the first number that it cannot have given.
 *
 * @param reservedThrough the last number that it may have given
 */
export function unseenEnd(accepted: AcceptedExecution, reservedThrough: number, nowMs: number): RecordedEnd {
  const sequence = reservedThrough + 1;
  const elapsedUs = Math.max(0, nowMs - accepted.createMs) * 1000;
  const event = encodeEvent(sequence, elapsedUs, {
    $case: 'ended',
    value: {
      outcome: { $case: 'unknown', value: {} },
      cause: Cause.AGENT_LOST,
      statePreserved: false,
      detachedOutput: false,
      endTime: new Date(nowMs),
      executionCount: 0,
    },
  });
  return { sequence, event, bytes: 0, location: undefined, endMs: nowMs, started: Buffer.alloc(0) };
}
