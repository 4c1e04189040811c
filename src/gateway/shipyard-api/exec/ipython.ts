/** The exec types ipython/*. */
import { randomUUID } from 'node:crypto';
import {
  Lifetime,
  type Ended,
  type Kernel,
  type StartExecutionRequest,
} from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import { isStatusError } from '../../../../proto/rpc/status-error.js';
import { ApiError, shipDetail } from '../api-error.js';
import { CapturedOutput, type TextKey } from '../fold/captured-output.js';
import { readEvents } from '../fold/events.js';
import { joinParts, OutputParts, type JsonPart } from '../fold/json-parts.js';
import { emptyPayload, ipythonExecPayload } from '../requests.js';
import { toHeader } from '../session-id.js';
import { envelope, execType, type ExecAnswer, type ExecCall } from './call.js';
import { cellFailure, throwIfRefused } from './ended.js';
import { readAgain, workTimeoutMs } from './work.js';

const CELL_TEXTS: readonly TextKey[] = [
  { sources: ['stdout', 'stderr', 'display'], strip: true },
  { sources: ['error'], strip: false },
];
const TEXT = 0;
const ERROR = 1;

export const ipythonExec = execType(ipythonExecPayload, async (call, { code, timeout, silent }) => {
  const executionId = randomUUID();
  const request: StartExecutionRequest = {
    shipId: call.shipId,
    sessionId: call.sessionId,
    executionId,
    lifetime: Lifetime.CALL,
    timeoutMs: workTimeoutMs(timeout),
    queueTimeoutMs: 0,
    work: { $case: 'cell', value: { code, silent, allowStdin: false, kernelGeneration: 0 } },
  };
  const output = new CapturedOutput(CELL_TEXTS);
  const stream = call.deps.executions.startExecution(request, call.options);
  const ended = await readEvents(stream, (event) => output.take(event));
  throwIfRefused(ended as Ended);
  const parts = new OutputParts(output, CELL_TEXTS, () => readAgain(call, executionId));
  return cellEnvelope(toHeader(call.sessionId), ended as Ended, parts, { timeout, silent });
});

function cellEnvelope(
  sessionId: string,
  ended: Ended,
  parts: OutputParts,
  { timeout, silent }: { readonly timeout: number; readonly silent: boolean },
): ExecAnswer {
  const error = errorOf(ended, parts, timeout);
  const count = silent || ended.executionCount === 0 ? 'null' : String(ended.executionCount);
  return joinParts([
    `{"success":true,"data":{"success":${error === undefined},"execution_count":${count},"output":{"text":`,
    parts.text(TEXT),
    ',"images":',
    parts.images(),
    ...parts.base64Keys(),
    parts.truncatedKey(),
    '},"error":',
    error ?? 'null',
    `,"kernel_id":${JSON.stringify(sessionId)}`,
    // Only an answer that failed needs to say whether the variables are still there.
    `${error === undefined ? '' : `,"state_preserved":${ended.statePreserved}`}},"error":null}`,
  ]);
}

/** Who ended it goes before what was raised on that way: an interrupt at the deadline is a timeout. */
function errorOf(ended: Ended, parts: OutputParts, timeout: number): JsonPart | undefined {
  const failure = cellFailure(ended, timeout);
  if (failure !== undefined) return JSON.stringify(failure);
  if (!parts.isEmpty(ERROR)) return parts.text(ERROR);
  return ended.outcome?.$case === 'raised' ? '"the cell ended with an exception"' : undefined;
}

export const createKernel = execType(emptyPayload, async (call) => {
  const kernel = await call.deps.executions.startKernel(target(call), call.options);
  const message = `Kernel for session ${toHeader(call.sessionId)} created successfully`;
  return envelope({ success: true, kernel_id: toHeader(call.sessionId), workspace: kernel.workspace, message });
});

export const kernelStatus = execType(emptyPayload, async (call) => {
  const { executions } = call.deps;
  const kernel = await orKernelMissing(call, executions.getKernel(target(call), call.options));
  return envelope({
    session_id: toHeader(call.sessionId),
    kernel_id: toHeader(call.sessionId),
    status: statusWord(kernel),
    workspace: kernel.workspace,
    has_kernel: true,
  });
});

export const listKernels = execType(emptyPayload, async (call) => {
  const listed = await call.deps.executions.listKernels(target(call), call.options);
  const kernels = listed.kernels.map((kernel) => ({
    kernel_id: toHeader(kernel.sessionId),
    status: statusWord(kernel),
    connections: 1,
  }));
  return envelope({ kernels });
});

export const shutdownKernel = execType(emptyPayload, async (call) => {
  const { executions } = call.deps;
  await orKernelMissing(call, executions.shutdownKernel(target(call), call.options));
  return envelope({ success: true, message: `Kernel for session ${toHeader(call.sessionId)} shutdown successfully` });
});

function target(call: ExecCall): { shipId: string; sessionId: string } {
  return { shipId: call.shipId, sessionId: call.sessionId };
}

function statusWord(kernel: Kernel): 'alive' | 'dead' {
  return kernel.status === 'dead' ? 'dead' : 'alive';
}

async function orKernelMissing<T>(call: ExecCall, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!isStatusError(error) || error.reason !== 'KERNEL_NOT_FOUND') throw error;
    throw ApiError.fromShip(400, 404, shipDetail(`Kernel for session ${toHeader(call.sessionId)} not found`), error);
  }
}
