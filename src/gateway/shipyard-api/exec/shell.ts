/** The exec type shell/exec. */
import { randomBytes } from 'node:crypto';
import {
  Lifetime,
  type Ended,
  type ShellCommand,
  type StartExecutionRequest,
} from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import { isStatusError } from '../../../../proto/rpc/status-error.js';
import { CapturedOutput, type TextKey } from '../fold/captured-output.js';
import { readEvents } from '../fold/events.js';
import { joinParts, OutputParts, type JsonPart } from '../fold/json-parts.js';
import { shellExecPayload } from '../requests.js';
import { envelope, execType, type ExecAnswer, type ExecCall } from './call.js';
import { commandFailure, returnCodeOf, throwIfRefused } from './ended.js';
import { shlexSplit } from './shlex.js';
import { readAgain, workTimeoutMs } from './work.js';

interface ShellPayload {
  readonly command: string;
  readonly cwd: string | null;
  readonly env: Record<string, string> | null;
  readonly timeout: number | null;
  readonly shell: boolean;
  readonly background: boolean;
}

export const COMMAND_TEXTS: readonly TextKey[] = [
  { sources: ['stdout'], strip: true },
  { sources: ['stderr'], strip: true },
];
export const STDOUT = 0;
export const STDERR = 1;

export const shellExec = execType<ShellPayload>(shellExecPayload, async (call, payload) => {
  const refused = refusalOf(payload);
  if (refused !== undefined) return notStarted(refused);
  const command = commandOf(payload);
  if (typeof command === 'string') return notStarted(command);
  return payload.background ? runInBackground(call, payload, command) : runToEnd(call, payload, command);
});

async function runToEnd(call: ExecCall, payload: ShellPayload, command: ShellCommand): Promise<ExecAnswer> {
  const executionId = randomBytes(12).toString('hex');
  const request = startRequest(call, payload, command, executionId, Lifetime.CALL);
  const output = new CapturedOutput(COMMAND_TEXTS);
  let pid = 0;
  const ended = await readEvents(call.deps.executions.startExecution(request, call.options), (event) => {
    if (event.$case === 'started') pid = event.value.pid;
    else output.take(event);
  });
  throwIfRefused(ended as Ended);
  const parts = new OutputParts(output, COMMAND_TEXTS, () => readAgain(call, executionId));
  return commandEnvelope(ended as Ended, { pid, processId: executionId, parts });
}

interface CommandFacts {
  /** 0: nothing ran. */
  readonly pid: number;
  readonly processId: string;
  readonly parts: OutputParts;
}

/** `success` at the top says that Ship ran it; how the command fared is in `data`, `exit_code` and `error`. */
function commandEnvelope(ended: Ended, { pid, processId, parts }: CommandFacts): ExecAnswer {
  const failure = commandFailure(ended);
  const code = failure === undefined ? (returnCodeOf(ended) ?? -1) : -1;
  const stdout = () => parts.text(STDOUT);
  const data: JsonPart[] = [
    `{"success":${code === 0},"return_code":${code},"stdout":`,
    stdout(),
    ',"stderr":',
    parts.text(STDERR),
    `,"pid":${pid === 0 ? 'null' : pid},"error":${JSON.stringify(failure ?? null)},"process_id":"${processId}"`,
    ...parts.base64Keys(),
    parts.truncatedKey(),
    '}',
  ];
  const error = code === 0 ? 'null' : errorPart(parts, failure);
  return joinParts([
    '{"success":true,"data":',
    ...data,
    ',"error":',
    error,
    ',"stdout":',
    stdout(),
    `,"exit_code":${code}}`,
  ]);
}

/** What a program reads of a command that failed: its stderr, and what ended it. */
function errorPart(parts: OutputParts, failure: string | undefined): JsonPart {
  if (parts.isEmpty(STDERR)) return JSON.stringify(failure ?? null);
  return parts.text(STDERR, failure === undefined ? '' : `\n${failure}`);
}

async function runInBackground(call: ExecCall, payload: ShellPayload, command: ShellCommand): Promise<ExecAnswer> {
  for (let attempt = 1; ; attempt++) {
    // Eight hex digits are documented; should they be taken, longer ones are not.
    const processId = randomBytes(attempt === 1 ? 4 : 12).toString('hex');
    const request = startRequest(call, payload, command, processId, Lifetime.NAMED);
    try {
      return await startedInBackground(call, request);
    } catch (error) {
      if (attempt > 1 || !isStatusError(error) || error.reason !== 'EXECUTION_ID_REUSED') throw error;
    }
  }
}

async function startedInBackground(call: ExecCall, request: StartExecutionRequest): Promise<ExecAnswer> {
  let pid = 0;
  const stream = call.deps.executions.startExecution(request, call.options);
  const ended = await readEvents(stream, (event) => {
    if (event.$case === 'started') pid = event.value.pid;
    return event.$case === 'started';
  });
  if (ended) throwIfRefused(ended);
  if (ended?.outcome?.$case === 'couldNotStart') return notStarted(ended.outcome.value.reason);
  const data = { success: true, return_code: 0, stdout: '', stderr: '', pid: pid || null, error: null };
  return envelope({ ...data, process_id: request.executionId }, { stdout: '', exit_code: 0 });
}

function startRequest(
  call: ExecCall,
  payload: ShellPayload,
  command: ShellCommand,
  executionId: string,
  lifetime: Lifetime,
): StartExecutionRequest {
  return {
    shipId: call.shipId,
    sessionId: call.sessionId,
    executionId,
    lifetime,
    // In the background the timeout bounded the start alone, which is immediate.
    timeoutMs: payload.background ? 0 : workTimeoutMs(payload.timeout),
    queueTimeoutMs: 0,
    work: { $case: 'command', value: command },
  };
}

/** @returns Python's text where the command line cannot be split */
function commandOf(payload: ShellPayload): ShellCommand | string {
  const common = { cwd: payload.cwd ?? '', env: payload.env ?? {}, stdin: false, background: payload.background };
  // An empty command line is no mistake to a shell, but names nothing to start.
  if (payload.shell) return { ...common, command: payload.command === '' ? ':' : payload.command, argv: [] };
  try {
    const argv = shlexSplit(payload.command);
    return argv.length === 0 ? 'empty command' : { ...common, command: '', argv };
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

/** What no operating system takes, in Python's words. */
function refusalOf(payload: ShellPayload): string | undefined {
  const env = Object.entries(payload.env ?? {});
  if (env.some(([name]) => name === '' || name.includes('='))) return 'illegal environment variable name';
  const texts = [payload.command, payload.cwd ?? '', ...env.flat()];
  return texts.some((text) => text.includes('\0')) ? 'embedded null byte' : undefined;
}

/** Nothing ran: told as the result that it was in the original, with the reason in `error`. */
function notStarted(reason: string): ExecAnswer {
  const data = { success: false, return_code: -1, stdout: '', stderr: '', pid: null, error: reason };
  return joinParts([JSON.stringify({ success: true, data, error: reason, stdout: '', exit_code: -1 })]);
}
