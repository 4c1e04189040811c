import {
  ExecutionEvent,
  ExecutionKind,
  ExecutionState,
  type Ended,
} from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { WatchedExecution } from '../../../proto/gen/shipyard/ship/v1/ship.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { ControlMemory } from './control-memory.js';
import type { AcceptedExecution, IndexSlot, RecordedEnd } from './execution-index.js';
import type { ExecutionLog } from './execution-log.js';
import type { ExecutionTask } from './execution-task.js';

/** An execution as the registry keeps it. */
export interface Entry {
  readonly accepted: AcceptedExecution;
  readonly slot: IndexSlot;
  /** While it is not ended; never for `background`. */
  task: ExecutionTask | undefined;
  /** While it is not ended, and for a while after. */
  log: ExecutionLog | undefined;
  end: RecordedEnd | undefined;
  /** What was asked of it, so that a repeat after the end is known. */
  controls: ControlMemory | undefined;
  logExpired: boolean;
  /** An earlier `background` of the session, whose log is still kept. */
  previous: Entry | undefined;
}

export function newEntry(accepted: AcceptedExecution, slot: IndexSlot, end?: RecordedEnd): Entry {
  return {
    accepted,
    slot,
    task: undefined,
    log: undefined,
    end,
    controls: undefined,
    logExpired: false,
    previous: undefined,
  };
}

/** How an execution ended, from its recorded event. */
export function endOf(entry: Entry): Ended {
  const { event } = ExecutionEvent.decode(entry.end!.event);
  if (event?.$case !== 'ended') throw new Error('the recorded end is not an `ended` event');
  return event.value;
}

export function stateOf(entry: Entry): ExecutionState {
  if (entry.end) return ExecutionState.ENDED;
  return entry.task ? ExecutionState[entry.task.state] : ExecutionState.RUNNING;
}

export function toWatched(entry: Entry): WatchedExecution {
  return {
    sessionId: entry.accepted.sessionId,
    executionId: entry.accepted.executionId,
    kind: ExecutionKind[entry.accepted.kind],
    state: stateOf(entry),
  };
}

export function expiredError(executionId: string): StatusError {
  return new StatusError('EXECUTION_LOG_EXPIRED', `the log of execution ${executionId} is no longer kept`, {
    details: { execution_id: executionId },
  });
}
