import type {
  AttachExecutionRequest,
  StartExecutionRequest,
  TerminalSize,
  WriteInputRequest,
} from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { BindSessionRequest } from '../../../proto/gen/shipyard/ship/v1/ship.js';
import { checkSessionId, invalid, missing } from '../../../proto/rpc/invalid-argument.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { BACKGROUND_ID, isExecutionId } from '../executions/execution-id.js';
import { constants } from 'node:os';

const MAX_CODE_BYTES = 8 * 1024 * 1024;
/** What execve takes for one argument, less a margin. */
const MAX_ARGUMENT_BYTES = 128 * 1024 - 64;
const MAX_ENV_BYTES = 512 * 1024;
const MAX_TERMINAL_SIDE = 1000;
const MAX_CONTROL_ID_BYTES = 128;
export const MAX_GRACE_MS = 10_000;
export const MAX_FOLD_BYTES = 3 * 1024 * 1024;

/** For finding: `background` is a name like any other. @throws StatusError INVALID_ARGUMENT, as every function here */
export function checkExecutionName(request: { sessionId: string; executionId: string }): void {
  checkSessionId(request.sessionId);
  if (request.executionId === '') throw missing('execution_id');
  checkExecutionId(request.executionId);
}

export function checkStart(request: StartExecutionRequest): void {
  checkSessionId(request.sessionId);
  if (request.executionId !== '') checkExecutionId(request.executionId);
  if (request.executionId === BACKGROUND_ID) throw invalid('execution_id', 'is reserved', BACKGROUND_ID);
  checkNotNegative('timeout_ms', request.timeoutMs);
  checkNotNegative('queue_timeout_ms', request.queueTimeoutMs);
  const { work } = request;
  switch (work?.$case) {
    case 'cell': {
      const bytes = Buffer.byteLength(work.value.code);
      if (bytes > MAX_CODE_BYTES)
        throw new StatusError('TOO_LARGE', `cell.code must have at most ${MAX_CODE_BYTES} bytes: ${bytes}`, {
          details: { field: 'cell.code', size_bytes: bytes, max_bytes: MAX_CODE_BYTES },
        });
      checkNotNegative('cell.kernel_generation', work.value.kernelGeneration);
      return;
    }
    case 'command': {
      const { command, argv } = work.value;
      if (command === '' && argv.length === 0) throw missing('command.command');
      checkProcess('command', work.value);
      return;
    }
    case 'terminal':
      checkProcess('terminal', work.value);
      if (work.value.size) checkTerminalSize('terminal.size', work.value.size);
      checkText('terminal.term', work.value.term, 128);
      return;
    default:
      throw new StatusError('INVALID_ARGUMENT', 'one of cell, command and terminal is missing', {
        details: { field: 'work', rule: 'is missing' },
      });
  }
}

export function checkAttach(request: AttachExecutionRequest): void {
  checkExecutionName(request);
  checkNotNegative('from_sequence', request.fromSequence);
}

export function checkWriteInput(request: WriteInputRequest): void {
  checkExecutionName(request);
  if (request.offset !== undefined) checkNotNegative('offset', request.offset);
}

export function checkTerminalSize(field: string, size: TerminalSize | undefined): asserts size is TerminalSize {
  if (!size) throw missing(field);
  for (const side of ['columns', 'rows'] as const)
    if (size[side] < 1 || size[side] > MAX_TERMINAL_SIDE)
      throw invalid(`${field}.${side}`, `must be 1 to ${MAX_TERMINAL_SIDE}`, size[side]);
}

export function checkSignal(name: string): void {
  if (name === '') throw missing('signal');
  if (!Object.hasOwn(constants.signals, name))
    throw invalid('signal', 'must be the name of a signal, such as SIGTERM', name);
}

export function checkControlId(controlId: string): void {
  checkText('control_id', controlId, MAX_CONTROL_ID_BYTES);
}

export function checkFoldBytes(maxOutputBytes: number): void {
  if (maxOutputBytes < 0 || maxOutputBytes > MAX_FOLD_BYTES)
    throw invalid('max_output_bytes', `must be 0 to ${MAX_FOLD_BYTES}`, maxOutputBytes);
}

export function checkBind(request: BindSessionRequest): void {
  checkSessionId(request.sessionId);
  if (request.uid < 1 || request.uid >= 2 ** 32 - 1) throw invalid('uid', 'must be 1 to 4294967294', request.uid);
  const { homeName } = request;
  if (homeName === '') throw missing('home_name');
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(homeName) || homeName === '.' || homeName === '..')
    throw invalid('home_name', 'must match [A-Za-z0-9._-]{1,64} and not be . or ..', homeName);
}

/** Permission bits for a new file. */
export function checkMode(mode: number | undefined): void {
  if (mode !== undefined && (mode < 1 || mode > 0o777)) throw invalid('mode', 'must be 1 (0o001) to 511 (0o777)', mode);
}

export function checkNotNegative(field: string, value: number): void {
  if (value < 0) throw invalid(field, 'must not be negative', value);
}

function checkExecutionId(executionId: string): void {
  if (!isExecutionId(executionId)) throw invalid('execution_id', 'must match [A-Za-z0-9._-]{1,128}', executionId);
}

function checkProcess(
  field: string,
  work: { command: string; argv: readonly string[]; cwd: string; env: Readonly<Record<string, string>> },
): void {
  if (work.command !== '' && work.argv.length > 0) throw invalid(field, 'must have either command or argv');
  checkText(`${field}.command`, work.command, MAX_ARGUMENT_BYTES);
  if (work.argv.length > 0 && work.argv[0] === '') throw invalid(`${field}.argv`, 'must begin with a program');
  for (const argument of work.argv) checkText(`${field}.argv`, argument, MAX_ARGUMENT_BYTES);
  checkText(`${field}.cwd`, work.cwd, 4096);
  let bytes = 0;
  for (const [name, value] of Object.entries(work.env)) {
    if (!/^[^=\0]+$/.test(name)) throw invalid(`${field}.env`, 'must have names without = and NUL', name);
    checkText(`${field}.env`, value, MAX_ARGUMENT_BYTES);
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (bytes > MAX_ENV_BYTES) throw invalid(`${field}.env`, `must have at most ${MAX_ENV_BYTES} bytes`, bytes);
}

function checkText(field: string, text: string, maxBytes: number): void {
  if (text.includes('\0')) throw invalid(field, 'must not hold NUL');
  if (Buffer.byteLength(text) > maxBytes) throw invalid(field, `must have at most ${maxBytes} bytes`);
}
