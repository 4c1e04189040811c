import { Lifetime, type StartExecutionRequest } from '../proto/gen/shipyard/execution/v1/execution.js';
import type { ExecutionServiceDefinition } from '../proto/gen/shipyard/execution/v1/execution_service.js';
import type { Implementation } from '../proto/rpc/definition.js';
import { StatusError } from '../proto/rpc/status-error.js';
import { forwardCall } from './ships/forward-call.js';
import { forwardAttach, forwardStart } from './ships/forward-events.js';
import type { ShipsDeps } from './ships/ships-deps.js';
import { uuidV7 } from './ships/uuid-v7.js';

const REPEATABLE = { repeatable: true };
const ONCE = { repeatable: false };
const CONTROL = { repeatable: true, control: true };

/** Executions at Bay: every call goes to its ship. Bay names what has no name, so that a repeat is known for one. */
export function createExecutionService(deps: ShipsDeps): Implementation<typeof ExecutionServiceDefinition> {
  return {
    startExecution: (request, ctx) => forwardStart(deps, withName(request), ctx),
    attachExecution: (request, ctx) => forwardAttach(deps, request, ctx),
    runExecution: async (request, ctx) => {
      const start = withName(required(request.start, 'start'));
      return forwardCall(deps, start, ctx, REPEATABLE, ({ executions }, options) =>
        executions.runExecution({ ...request, start }, options),
      );
    },
    getExecution: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ executions }, options) =>
        executions.getExecution(request, options),
      ),
    listExecutions: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ executions }, options) =>
        executions.listExecutions(request, options),
      ),
    writeInput: (request, ctx) =>
      forwardCall(deps, request, ctx, { repeatable: request.offset !== undefined }, ({ executions }, options) =>
        executions.writeInput(request, options),
      ),
    resizeTerminal: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ executions }, options) =>
        executions.resizeTerminal(request, options),
      ),
    answerInput: (request, ctx) =>
      forwardCall(deps, request, ctx, ONCE, ({ executions }, options) => executions.answerInput(request, options)),
    signalExecution: (request, ctx) => {
      const control = withControlId(request);
      return forwardCall(deps, request, ctx, CONTROL, ({ executions }, options) =>
        executions.signalExecution(control, options),
      );
    },
    interruptExecution: (request, ctx) => {
      const control = withControlId(request);
      return forwardCall(deps, request, ctx, CONTROL, ({ executions }, options) =>
        executions.interruptExecution(control, options),
      );
    },
    cancelExecution: (request, ctx) => {
      const control = withControlId(request);
      return forwardCall(deps, request, ctx, CONTROL, ({ executions }, options) =>
        executions.cancelExecution(control, options),
      );
    },
    startKernel: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ executions }, options) =>
        executions.startKernel(request, options),
      ),
    restartKernel: (request, ctx) => {
      const control = withControlId(request);
      return forwardCall(deps, request, ctx, CONTROL, ({ executions }, options) =>
        executions.restartKernel(control, options),
      );
    },
    getKernel: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ executions }, options) => executions.getKernel(request, options)),
    shutdownKernel: (request, ctx) =>
      forwardCall(deps, request, ctx, ONCE, ({ executions }, options) => executions.shutdownKernel(request, options)),
    listKernels: (request, ctx) =>
      forwardCall(deps, request, ctx, REPEATABLE, ({ executions }, options) =>
        executions.listKernels(request, options),
      ),
  };
}

/** Work without a name belongs to its call, except a background command. */
function withName(request: StartExecutionRequest): StartExecutionRequest {
  if (request.executionId !== '') return request;
  const background = request.work?.$case === 'command' && request.work.value.background;
  const unnamed = background ? Lifetime.NAMED : Lifetime.CALL;
  const lifetime = request.lifetime === Lifetime.UNSPECIFIED ? unnamed : request.lifetime;
  return { ...request, executionId: uuidV7(), lifetime };
}

/** So that a control which is sent again after a broken link acts once. */
function withControlId<T extends { controlId: string }>(request: T): T {
  return request.controlId === '' ? { ...request, controlId: uuidV7() } : request;
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new StatusError('INVALID_ARGUMENT', `${field} is missing`, { details: { field } });
  return value;
}
