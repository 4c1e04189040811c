/** The gateway over hand-written services, for its tests: real routes, real rpc kit, no Bay. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BayServiceDefinition } from '../../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionEvent } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { ExecutionServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { createClient } from '../../../proto/rpc/client.js';
import type { CallContext, Implementation, ServiceDefinitionLike } from '../../../proto/rpc/definition.js';
import { inProcess } from '../../../proto/rpc/in-process.js';
import { createRouter } from '../../../proto/rpc/router.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { Descriptors, readDescriptors } from '../descriptors.js';
import type { HttpServerDeps } from '../http-server.js';

export const TOKEN = 'secret-token';
export const AUTH = { authorization: `Bearer ${TOKEN}` };

type Partially<S extends ServiceDefinitionLike> = Partial<Implementation<S>>;

export interface TestServices {
  bay?: Partially<typeof BayServiceDefinition>;
  executions?: Partially<typeof ExecutionServiceDefinition>;
  files?: Partially<typeof FileServiceDefinition>;
}

export interface ReceivedCall {
  readonly name: string;
  readonly request: Record<string, unknown>;
  readonly ctx: CallContext;
}

export interface TestGateway {
  readonly deps: HttpServerDeps;
  /** Every call that reached a service without a test's own implementation. */
  readonly received: ReceivedCall[];
}

export async function testGateway(
  services: TestServices = {},
  options: Partial<HttpServerDeps> = {},
): Promise<TestGateway> {
  const received: ReceivedCall[] = [];
  const router = createRouter({
    services: [
      [BayServiceDefinition, withDefaults(BayServiceDefinition, services.bay, received)],
      [ExecutionServiceDefinition, withDefaults(ExecutionServiceDefinition, services.executions, received)],
      [FileServiceDefinition, withDefaults(FileServiceDefinition, services.files, received)],
    ],
  });
  const transport = inProcess(router);
  const deps: HttpServerDeps = {
    host: '127.0.0.1',
    port: 0,
    bay: createClient(BayServiceDefinition, transport),
    executions: createClient(ExecutionServiceDefinition, transport),
    files: createClient(FileServiceDefinition, transport),
    authorize,
    descriptors: await testDescriptors(),
    maxUploadBytes: 1024 * 1024,
    corsOrigins: [],
    version: '1.2.3',
    ready: async () => undefined,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    ...options,
  };
  return { deps, received };
}

function authorize(header: string | undefined): void {
  if (!header) throw new StatusError('TOKEN_MISSING', 'Not authenticated');
  if (header !== AUTH.authorization) throw new StatusError('TOKEN_INVALID', 'Invalid access token');
}

/** Methods that a test leaves out remember their request and answer an empty message, or a stream of none. */
function withDefaults<S extends ServiceDefinitionLike>(
  definition: S,
  given: Partially<S> | undefined,
  received: ReceivedCall[],
): Implementation<S> {
  const functions: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(definition.methods)) {
    const remember = (request: unknown, ctx: CallContext) =>
      received.push({ name, request: request as Record<string, unknown>, ctx });
    functions[name] = method.responseStream
      ? async function* (request: unknown, ctx: CallContext) {
          remember(request, ctx);
        }
      : async (request: unknown, ctx: CallContext) => {
          remember(request, ctx);
          return method.responseType.decode(new Uint8Array()) as unknown;
        };
  }
  return { ...functions, ...given } as Implementation<S>;
}

let loaded: Promise<Descriptors> | undefined;

/** The generated descriptors, or, where somebody generates just now, fresh ones. */
export function testDescriptors(): Promise<Descriptors> {
  loaded ??= readDescriptors().catch(async () => {
    const buf = ['node_modules/@bufbuild/buf/bin/buf', 'build', '--as-file-descriptor-set', '-o', '-'];
    const { stdout } = await promisify(execFile)(process.execPath, buf, { encoding: 'buffer', maxBuffer: 1 << 24 });
    return new Descriptors(stdout);
  });
  return loaded;
}

type Happening = NonNullable<ExecutionEvent['event']>;

/** An encoded event, as the raw methods stream it. */
export function encodedEvent(sequence: number, event: Happening): Uint8Array {
  return ExecutionEvent.encode({ sequence, elapsedUs: sequence * 10, event }).finish();
}

export function stdoutEvent(sequence: number, text: string): Uint8Array {
  return encodedEvent(sequence, { $case: 'stdout', value: { content: { $case: 'text', value: text } } });
}

export function endedEvent(sequence: number): Uint8Array {
  const decoded = ExecutionEvent.fromJSON({ ended: { exited: { code: 0 }, cause: 'CAUSE_NONE' } });
  return ExecutionEvent.encode({ ...decoded, sequence }).finish();
}
