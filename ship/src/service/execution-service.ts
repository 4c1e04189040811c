import {
  Cause,
  Lifetime,
  type Kernel,
  type StartExecutionRequest,
} from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { ExecutionServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/execution_service.js';
import type { CallContext, Implementation } from '../../../proto/rpc/definition.js';
import { checkSessionId, missing } from '../../../proto/rpc/invalid-argument.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { KernelService } from '../executions/execution.js';
import type { Entry } from '../executions/entry.js';
import type { ExecutionRegistry } from '../executions/execution-registry.js';
import { foldExecution } from '../executions/fold-execution.js';
import type { Sessions } from '../sessions.js';
import {
  checkAttach,
  checkControlId,
  checkExecutionName,
  checkFoldBytes,
  checkSignal,
  checkStart,
  checkTerminalSize,
  checkWriteInput,
} from './validate.js';

const REMEMBERED_RESTARTS = 256;

export interface ExecutionServiceDeps {
  readonly registry: ExecutionRegistry;
  readonly sessions: Sessions;
  /** Loaded on first use. */
  kernels(): Promise<KernelService>;
  /** Where they were loaded; kernels that nobody asked for need not be. */
  kernelsIfLoaded(): KernelService | undefined;
}

/** ExecutionService at the ship: checks what is asked, then the registry acts. */
export function createExecutionService(deps: ExecutionServiceDeps): Implementation<typeof ExecutionServiceDefinition> {
  const { registry, sessions } = deps;
  const restarts = new RestartMemory();

  const controlled = (request: { sessionId: string; executionId: string; controlId: string }): void => {
    checkExecutionName(request);
    checkControlId(request.controlId);
    sessions.check(request.sessionId);
  };
  /** Whether a control came again that was taken before the execution ended. */
  const repeated = (request: { sessionId: string; executionId: string; controlId: string }, control: string): boolean =>
    registry.wasTaken(registry.find(request.sessionId, request.executionId), control, request.controlId);
  const inSession = (request: { sessionId: string }): void => {
    checkSessionId(request.sessionId);
    sessions.check(request.sessionId);
  };

  return {
    async *startExecution(request, ctx) {
      yield* readOwned(deps, await start(deps, request), request, ctx);
    },

    async *attachExecution(request, ctx) {
      checkAttach(request);
      sessions.check(request.sessionId);
      const entry = registry.find(request.sessionId, request.executionId, request.fromSequence);
      const owners = entry.task?.owners;
      owners?.addReader(ctx.cancellation);
      try {
        yield* registry.read(entry, request.fromSequence, { signal: ctx.cancellation, strict: request.strict });
      } finally {
        owners?.leave(ctx.cancellation);
      }
    },

    async runExecution({ start: request, maxOutputBytes }, ctx) {
      if (!request) throw missing('start');
      checkFoldBytes(maxOutputBytes);
      const entry = await start(deps, request);
      return foldExecution(entry.accepted.executionId, readOwned(deps, entry, request, ctx), maxOutputBytes);
    },

    async getExecution(request) {
      checkExecutionName(request);
      sessions.check(request.sessionId);
      return registry.describe(registry.find(request.sessionId, request.executionId));
    },

    async listExecutions(request) {
      inSession(request);
      return { executions: await registry.list(request.sessionId, request) };
    },

    async writeInput(request, ctx) {
      checkWriteInput(request);
      sessions.check(request.sessionId);
      const { offset, data, eof } = request;
      const input = { ...(offset === undefined ? {} : { offset }), data, eof };
      return registry.task(request.sessionId, request.executionId).writeInput(input, ctx.signal);
    },

    async resizeTerminal(request) {
      checkExecutionName(request);
      const { size } = request;
      checkTerminalSize('size', size);
      sessions.check(request.sessionId);
      await registry.task(request.sessionId, request.executionId).resize(size.columns, size.rows);
      return {};
    },

    async answerInput(request) {
      checkExecutionName(request);
      sessions.check(request.sessionId);
      const task = registry.task(request.sessionId, request.executionId);
      await task.answerInput(request.requestSequence, request.value);
      return {};
    },

    async signalExecution(request) {
      controlled(request);
      checkSignal(request.signal);
      if (repeated(request, 'signal')) return {};
      await registry.task(request.sessionId, request.executionId).signal(request.signal, request.controlId);
      return {};
    },

    async interruptExecution(request) {
      controlled(request);
      if (repeated(request, 'interrupt')) return {};
      await registry.task(request.sessionId, request.executionId).interrupt(request.controlId);
      return {};
    },

    async cancelExecution(request) {
      controlled(request);
      // One that has ended stays as it is.
      if (!registry.find(request.sessionId, request.executionId).end)
        registry.task(request.sessionId, request.executionId).cancel(request.controlId);
      return {};
    },

    async startKernel(request) {
      inSession(request);
      return (await deps.kernels()).start(request.sessionId);
    },

    async restartKernel(request) {
      inSession(request);
      checkControlId(request.controlId);
      return restarts.once(request.sessionId, request.controlId, async () => {
        const kernels = await deps.kernels();
        registry.endQueuedCells(request.sessionId, Cause.KERNEL_RESTARTED);
        return kernels.restart(request.sessionId);
      });
    },

    async getKernel(request) {
      inSession(request);
      const kernel = deps.kernelsIfLoaded()?.get(request.sessionId);
      if (!kernel) throw kernelNotFound();
      return kernel;
    },

    async shutdownKernel(request) {
      inSession(request);
      const kernels = deps.kernelsIfLoaded();
      if (!kernels?.get(request.sessionId)) throw kernelNotFound();
      registry.endQueuedCells(request.sessionId, Cause.KERNEL_RESTARTED);
      if (!(await kernels.shutdown(request.sessionId))) throw kernelNotFound();
      return {};
    },

    async listKernels(request) {
      inSession(request);
      const kernels = deps.kernelsIfLoaded()?.list() ?? [];
      return { kernels: kernels.filter(({ sessionId }) => sessionId === request.sessionId) };
    },
  };
}

function start({ registry, sessions }: ExecutionServiceDeps, request: StartExecutionRequest): Promise<Entry> {
  checkStart(request);
  sessions.check(request.sessionId);
  return registry.start(request);
}

/** The events of an execution for the call that started it, which takes the work along where it belongs to it. */
async function* readOwned(
  { registry }: ExecutionServiceDeps,
  entry: Entry,
  request: StartExecutionRequest,
  { cancellation: signal }: CallContext,
): AsyncGenerator<Buffer, void, undefined> {
  const owners = belongsToCall(request) ? entry.task?.owners : undefined;
  owners?.add(signal);
  try {
    yield* registry.read(entry, 0, { signal });
  } finally {
    owners?.leave(signal);
  }
}

function belongsToCall(request: StartExecutionRequest): boolean {
  if (request.work?.$case === 'command' && request.work.value.background) return false;
  if (request.lifetime === Lifetime.UNSPECIFIED) return request.executionId === '';
  return request.lifetime === Lifetime.CALL;
}

/** The last restarts by control id, so that one that is sent again answers the kernel that it made. */
class RestartMemory {
  readonly #restarts = new Map<string, Promise<Kernel>>();

  once(sessionId: string, controlId: string, restart: () => Promise<Kernel>): Promise<Kernel> {
    if (controlId === '') return restart();
    const key = `${controlId}\0${sessionId}`;
    const known = this.#restarts.get(key);
    if (known) return known;
    const restarting = restart();
    this.#restarts.set(key, restarting);
    if (this.#restarts.size > REMEMBERED_RESTARTS) this.#restarts.delete(this.#restarts.keys().next().value!);
    restarting.catch(() => this.#restarts.delete(key)); // one that failed may be tried again
    return restarting;
  }
}

function kernelNotFound(): StatusError {
  return new StatusError('KERNEL_NOT_FOUND', 'the session has no kernel');
}
