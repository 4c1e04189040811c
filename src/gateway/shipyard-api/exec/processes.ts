/** The exec types around background commands: shell/processes, shell/process/{id}…, and shell/cwd. */
import {
  ExecutionKind,
  ExecutionState,
  type Execution,
} from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import { isStatusError } from '../../../../proto/rpc/status-error.js';
import { ApiError, shipDetail } from '../api-error.js';
import { CapturedOutput } from '../fold/captured-output.js';
import { readEvents, sequenceOf } from '../fold/events.js';
import { joinParts, OutputParts } from '../fold/json-parts.js';
import { emptyPayload } from '../requests.js';
import { envelope, execType, type ExecAnswer, type ExecCall, type ExecType } from './call.js';
import { returnCodeOf } from './ended.js';
import { COMMAND_TEXTS, STDERR, STDOUT } from './shell.js';
import { readAgain } from './work.js';

export const listProcesses = execType(emptyPayload, async (call) => {
  const { executions } = await call.deps.executions.listExecutions(
    {
      shipId: call.shipId,
      sessionId: call.sessionId,
      kind: ExecutionKind.COMMAND,
      state: ExecutionState.UNSPECIFIED,
      backgroundOnly: true,
    },
    call.options,
  );
  const processes = executions.map((execution) => ({
    process_id: execution.executionId,
    pid: pidOf(execution),
    command: execution.command,
    status: statusOf(execution),
  }));
  return envelope({ processes });
});

export const workingDirectory = execType(emptyPayload, async (call) => {
  const info = await call.deps.files.getFileInfo(
    { shipId: call.shipId, sessionId: call.sessionId, path: '.' },
    call.options,
  );
  return envelope({ cwd: info.path, exists: true });
});

const PROCESS_TYPE = /^shell\/process\/([A-Za-z0-9._-]{1,128})(?:\/(output|kill))?$/;

/** @returns undefined where the type names no route of a process */
export function processType(type: string): ExecType | undefined {
  const match = PROCESS_TYPE.exec(type);
  if (!match) return undefined;
  const processId = match[1] as string;
  const run = { output: processOutput, kill: killProcess }[match[2] ?? ''] ?? processState;
  return execType(emptyPayload, async (call) => run(call, await findProcess(call, processId)));
}

async function processState(_call: ExecCall, execution: Execution): Promise<ExecAnswer> {
  return envelope(stateOf(execution));
}

/** What the process wrote until now; it may go on. */
async function processOutput(call: ExecCall, execution: Execution): Promise<ExecAnswer> {
  const { executionId, lastSequence } = execution;
  const output = new CapturedOutput(COMMAND_TEXTS);
  const open = () => upTo(lastSequence, readAgain(call, executionId));
  if (lastSequence > 0) {
    await readEvents(readAgain(call, executionId), (event, sequence) => {
      output.take(event);
      return sequence >= lastSequence;
    });
  }
  const parts = new OutputParts(output, COMMAND_TEXTS, open);
  return joinParts([
    `{"success":true,"data":{"success":true,${JSON.stringify(stateOf(execution)).slice(1, -1)},"stdout":`,
    parts.text(STDOUT),
    ',"stderr":',
    parts.text(STDERR),
    ...parts.base64Keys(),
    parts.truncatedKey(),
    '},"error":null,"stdout":',
    parts.text(STDOUT),
    '}',
  ]);
}

/** Stops in front of what came after the first reading, so that every pass sees the same log. */
async function* upTo(lastSequence: number, events: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of events) {
    const sequence = sequenceOf(bytes);
    if (sequence > lastSequence) return;
    yield bytes;
    if (sequence === lastSequence) return;
  }
}

/** How long a kill waits for the end that it asked for; the grace before SIGKILL is half a second. */
const KILL_WAIT_MS = 5_000;

async function killProcess(call: ExecCall, execution: Execution): Promise<ExecAnswer> {
  const { executionId } = execution;
  if (execution.state === ExecutionState.ENDED) {
    return envelope({ success: true, message: `Process ${executionId} had already finished` });
  }
  const { executions } = call.deps;
  const target = { shipId: call.shipId, sessionId: call.sessionId, executionId };
  await executions.cancelExecution({ ...target, controlId: '' }, call.options);
  try {
    const rest = { ...target, fromSequence: execution.lastSequence + 1, strict: false };
    const events = executions.attachExecution(rest, { ...call.options, timeoutMs: KILL_WAIT_MS });
    await readEvents(events, () => false);
  } catch (error) {
    if (!isStatusError(error) || error.reason !== 'DEADLINE_EXCEEDED') throw error;
    return envelope({ success: true, message: `Process ${executionId} was told to end` });
  }
  return envelope({ success: true, message: `Process ${executionId} terminated` });
}

async function findProcess(call: ExecCall, processId: string): Promise<Execution> {
  try {
    const execution = await call.deps.executions.getExecution(
      { shipId: call.shipId, sessionId: call.sessionId, executionId: processId },
      call.options,
    );
    if (execution.kind === ExecutionKind.COMMAND) return execution;
  } catch (error) {
    if (!isStatusError(error) || error.reason !== 'EXECUTION_NOT_FOUND') throw error;
  }
  throw ApiError.fromShip(400, 404, shipDetail(`Process ${processId} not found`));
}

function stateOf(execution: Execution): object {
  return {
    process_id: execution.executionId,
    pid: pidOf(execution),
    status: statusOf(execution),
    return_code: execution.ended ? (returnCodeOf(execution.ended) ?? null) : null,
  };
}

function statusOf(execution: Execution): string {
  if (execution.state !== ExecutionState.ENDED || !execution.ended) return 'running';
  return `finished (code: ${returnCodeOf(execution.ended) ?? 'unknown'})`;
}

function pidOf(execution: Execution): number | null {
  return execution.started?.pid || null;
}
