import type { StartExecutionRequest } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { AcceptedExecution } from './execution-index.js';

const COMMAND_BYTES = 4096;
/** What of an ended execution's command line stays in memory; the rest is read from the index. */
export const COMMAND_IN_MEMORY = 200;

export function kindOf(request: StartExecutionRequest): 'CELL' | 'COMMAND' | 'TERMINAL' {
  switch (request.work?.$case) {
    case 'cell':
      return 'CELL';
    case 'command':
      return 'COMMAND';
    case 'terminal':
      return 'TERMINAL';
    default:
      throw new StatusError('INVALID_ARGUMENT', 'work: one of cell, command and terminal is required', {
        details: { field: 'work' },
      });
  }
}

export function commandOf(request: StartExecutionRequest): string {
  if (request.work?.$case !== 'command' && request.work?.$case !== 'terminal') return '';
  const { command, argv } = request.work.value;
  const line = Buffer.from(command || argv.join(' '));
  return line.length <= COMMAND_BYTES
    ? line.toString()
    : line
        .subarray(0, COMMAND_BYTES)
        .toString()
        .replace(/\ufffd+$/, '');
}

export function shorten(accepted: AcceptedExecution): AcceptedExecution {
  return { ...accepted, command: accepted.command.slice(0, COMMAND_IN_MEMORY) };
}
