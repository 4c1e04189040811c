/** The end of an execution in the words and numbers of the documented answers. */
import { constants } from 'node:os';
import { REASONS, type Reason } from '../../../../proto/rpc/reasons.js';
import { StatusError } from '../../../../proto/rpc/status-error.js';
import { Cause, type Ended } from '../../../../proto/gen/shipyard/execution/v1/execution.js';

/**
 * Throws the failure behind work that the ship refused to start, where it was one with a reason of its own: its text is
 * "REASON: text". A working directory outside the workspace is refused in one style everywhere: as Ship's 403.
 */
export function throwIfRefused(ended: Ended): void {
  if (ended.outcome?.$case !== 'couldNotStart') return;
  const [, reason = '', message = ''] = /^([A-Z_]+): (.*)$/s.exec(ended.outcome.value.reason) ?? [];
  if (isReason(reason) && reason !== 'CANCELLED') throw new StatusError(reason, message);
}

function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text);
}

/**
 * Negative for a signal, as Python's subprocess says it; undefined where no code was seen.
 */
export function returnCodeOf(ended: Ended): number | undefined {
  switch (ended.outcome?.$case) {
    case 'exited':
      return ended.outcome.value.code;
    case 'signaled':
      return -(constants.signals[ended.outcome.value.name as NodeJS.Signals] ?? 1);
    default:
      return undefined;
  }
}

/** Why a command ended other than by itself; undefined where it did. */
export function commandFailure(ended: Ended): string | undefined {
  if (ended.cause === Cause.DEADLINE) return 'Command timed out';
  return causeText(ended.cause, 'Command') ?? outcomeText(ended, 'Command');
}

/** Why a cell ended other than by itself or by an exception of its own; undefined where it did. */
export function cellFailure(ended: Ended, timeoutSeconds: number): string | undefined {
  if (ended.cause === Cause.DEADLINE) return `Code execution timed out after ${timeoutSeconds} seconds`;
  return causeText(ended.cause, 'Code execution') ?? outcomeText(ended, 'Code execution');
}

function causeText(cause: Cause, what: string): string | undefined {
  switch (cause) {
    case Cause.CANCELLED:
      return `${what} was cancelled`;
    case Cause.KERNEL_RESTARTED:
      return `${what} was ended: the kernel was restarted or shut down`;
    case Cause.SESSION_ENDED:
      return `${what} was ended: the session gave its place up`;
    case Cause.SHIP_STOPPED:
      return `${what} was ended: the ship was stopped`;
    case Cause.OOM:
      return `${what} was ended: memory ran out`;
    case Cause.AGENT_LOST:
      return `${what} was ended: the ship's agent was lost`;
    default:
      return undefined;
  }
}

function outcomeText(ended: Ended, what: string): string | undefined {
  switch (ended.outcome?.$case) {
    case 'kernelDied': {
      const { signal, exitCode } = ended.outcome.value;
      const how = signal !== '' ? signal : exitCode === undefined ? '' : `exit code ${exitCode}`;
      return `${what} was ended: the kernel died${how === '' ? '' : ` (${how})`}`;
    }
    case 'couldNotStart':
      return ended.outcome.value.reason;
    case 'unknown':
    case undefined:
      return `${what} was ended: nobody saw how`;
    default:
      return undefined;
  }
}
