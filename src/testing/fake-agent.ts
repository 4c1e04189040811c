import {
  Cause,
  ExecutionEvent,
  ExecutionKind,
  ExecutionState,
  type StartExecutionRequest,
} from '../../proto/gen/shipyard/execution/v1/execution.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { DownloadResponse, FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import { ShipServiceDefinition, type Fence, type WatchEvent } from '../../proto/gen/shipyard/ship/v1/ship.js';
import type { CallContext, Implementation, ServiceDefinitionLike } from '../../proto/rpc/definition.js';
import { startRpcServer, type RpcServer } from '../../proto/rpc/grpc-server.js';
import { isLinkLost, linkLost } from '../../proto/rpc/link-lost.js';
import { createRouter } from '../../proto/rpc/router.js';
import { StatusError } from '../../proto/rpc/status-error.js';

/**
 * The smallest agent that keeps the contract of the Ship services, in the test's own process but behind a real socket.
 * Its executions are cells of the form `print N`: N chunks of output, each given when `release` lets it, then the end.
 */
export class FakeAgent {
  readonly bound = new Map<string, { uid: number; homeName: string }>();
  readonly ended: string[] = [];
  /** Requests that were taken for new work, in order; what attached is not among them. */
  readonly begun: StartExecutionRequest[] = [];
  readonly files = new Map<string, Buffer>();
  remainingMs: number | undefined;
  shutdowns = 0;
  /** How many calls of each kind came. */
  readonly calls = { startExecution: 0, attachExecution: 0, bindSession: 0 };
  /** Lets bindSession wait. */
  beforeBind: () => Promise<void> = async () => undefined;
  readonly #shipId: string;
  readonly #incarnation: number;
  readonly #token: string;
  readonly #logs = new Map<string, FakeLog>();
  readonly #watchers = new Set<(event: WatchEvent) => void>();
  #fence = 0;
  #server: RpcServer | undefined;

  constructor(ship: { readonly id: string; readonly incarnation: number }, token: string) {
    this.#shipId = ship.id;
    this.#incarnation = ship.incarnation;
    this.#token = token;
  }

  async listen(path: string): Promise<void> {
    const authorize = (authorization: string | undefined) => {
      if (authorization !== `Bearer ${this.#token}`) throw new StatusError('TOKEN_INVALID', 'wrong token');
    };
    const router = createRouter({
      services: [
        [ShipServiceDefinition, this.#shipService()],
        [ExecutionServiceDefinition, this.#executionService()],
        [FileServiceDefinition, this.#fileService()],
      ],
      interceptors: [
        {
          unary: (next) => (request, ctx) => (authorize(ctx.metadata.authorization), next(request, ctx)),
          stream: (next) => (request, ctx) => (authorize(ctx.metadata.authorization), next(request, ctx)),
        },
      ],
    });
    this.#server = await startRpcServer({
      address: `unix:${path}`,
      router,
      authenticate: ({ authorization }) => authorize(authorization),
      mux: {
        hello: () => ({ shipId: this.#shipId, incarnation: this.#incarnation, agentVersion: 'fake' }),
      },
    });
  }

  /** Breaks every connection, as a network does; the agent lives on. */
  dropLinks(): void {
    for (const connection of this.#server?.connections ?? []) connection.close(linkLost('the test cut the link'));
  }

  get connections(): number {
    return this.#server?.connections.size ?? 0;
  }

  async close(): Promise<void> {
    this.dropLinks();
    await this.#server?.stop({ drainMs: 0 });
  }

  /** Lets the execution give `count` more events. */
  release(executionId: string, count = Infinity): void {
    this.#logs.get(executionId)?.grow(count);
  }

  /** Whether the execution was cancelled because its call went. */
  cancelled(executionId: string): boolean {
    return this.#logs.get(executionId)?.cancelled ?? false;
  }

  /** Tells Bay of work that goes on. */
  showActivity(...sessionIds: string[]): void {
    for (const tell of this.#watchers) tell({ event: { $case: 'activity', value: { sessionIds } } });
  }

  /** Tells Bay that it ends, as an agent does that was sent SIGTERM. */
  tellStopping(): void {
    for (const tell of this.#watchers) tell({ event: { $case: 'stopping', value: {} } });
  }

  #shipService(): Implementation<typeof ShipServiceDefinition> {
    return {
      bindSession: async ({ fence, sessionId, uid, homeName }) => {
        this.calls.bindSession += 1;
        this.#check(fence);
        await this.beforeBind();
        this.bound.set(sessionId, { uid, homeName });
        return { home: '/home/user', workspace: '/home/user/workspace' };
      },
      endSession: async ({ fence, sessionId }) => {
        this.#check(fence);
        this.bound.delete(sessionId);
        this.ended.push(sessionId);
        return {};
      },
      setLease: async ({ fence, remainingMs }) => {
        this.#check(fence);
        this.remainingMs = remainingMs;
        return {};
      },
      shutdown: async ({ fence }) => {
        this.#check(fence);
        this.shutdowns += 1;
        setImmediate(() => this.dropLinks());
        return {};
      },
      watch: (_request, ctx) => this.#watch(ctx),
    };
  }

  async *#watch(ctx: CallContext): AsyncGenerator<WatchEvent, void, undefined> {
    const queue: WatchEvent[] = [];
    let wake: () => void = () => undefined;
    const tell = (event: WatchEvent) => {
      queue.push(event);
      wake();
    };
    this.#watchers.add(tell);
    ctx.signal.addEventListener('abort', () => wake());
    const executions = [...this.#logs.values()].map((log) => log.watched());
    yield { event: { $case: 'snapshot', value: { executions, kernels: [], sessions: [] } } };
    while (!ctx.signal.aborted) {
      const event = queue.shift();
      if (event) yield event;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    this.#watchers.delete(tell);
  }

  #executionService(): Implementation<typeof ExecutionServiceDefinition> {
    return {
      ...unimplemented(ExecutionServiceDefinition),
      startExecution: (request, ctx) => {
        this.calls.startExecution += 1;
        return this.#start(request).read(1, ctx.signal);
      },
      attachExecution: ({ executionId, fromSequence }, ctx) => {
        this.calls.attachExecution += 1;
        const log = this.#logs.get(executionId);
        if (!log) throw new StatusError('EXECUTION_NOT_FOUND', `no execution ${executionId}`);
        return log.read(Math.max(1, fromSequence), ctx.signal);
      },
      cancelExecution: async ({ executionId }) => {
        this.release(executionId);
        return {};
      },
    };
  }

  #start(request: StartExecutionRequest): FakeLog {
    const known = this.#logs.get(request.executionId);
    if (known) return known;
    if (!this.bound.has(request.sessionId)) throw new StatusError('SESSION_NOT_BOUND', 'not bound');
    this.begun.push(request);
    const code = request.work?.$case === 'cell' ? request.work.value.code : 'print 0';
    const log = new FakeLog(request, Number(code.split(' ')[1] ?? 0), (state) =>
      this.#tellExecution({ ...log.watched(), state }),
    );
    this.#logs.set(request.executionId, log);
    this.#tellExecution(log.watched());
    if (!code.endsWith(' held')) log.grow(Infinity);
    return log;
  }

  #tellExecution(execution: ReturnType<FakeLog['watched']>): void {
    for (const tell of this.#watchers) tell({ event: { $case: 'execution', value: execution } });
  }

  #fileService(): Implementation<typeof FileServiceDefinition> {
    const { files } = this;
    return {
      ...unimplemented(FileServiceDefinition),
      writeText: async ({ path, content }) => {
        files.set(path, Buffer.from(content));
        return { path, sizeBytes: content.length };
      },
      readText: async ({ path }) => {
        const content = files.get(path)?.toString();
        if (content === undefined) throw new StatusError('FILE_NOT_FOUND', `File not found: ${path}`);
        return { content, path, sizeBytes: content.length };
      },
      upload: async (requests) => {
        const parts: Buffer[] = [];
        let path = '';
        for await (const { part } of requests) {
          if (part?.$case === 'header') path = part.value.path;
          if (part?.$case === 'data') parts.push(part.value);
        }
        const content = Buffer.concat(parts);
        files.set(path, content);
        return { path, sizeBytes: content.length };
      },
      async *download({ path }) {
        const content = files.get(path);
        if (!content) throw new StatusError('FILE_NOT_FOUND', `File not found: ${path}`);
        yield DownloadResponse.encode({ part: { $case: 'data', value: content } }).finish();
      },
    };
  }

  #check(fence: Fence | undefined): void {
    if (fence?.incarnation !== this.#incarnation || fence.number < this.#fence) {
      throw new StatusError('FENCED', 'an act of an earlier time');
    }
    this.#fence = fence.number;
  }
}

/** Queued, N chunks, ended; given out as far as `grow` allowed. */
class FakeLog {
  cancelled = false;
  readonly #request: StartExecutionRequest;
  readonly #length: number;
  readonly #onState: (state: ExecutionState) => void;
  #allowed = 0;
  #wakes = new Set<() => void>();

  constructor(request: StartExecutionRequest, chunks: number, onState: (state: ExecutionState) => void) {
    this.#request = request;
    this.#length = chunks + 2;
    this.#onState = onState;
  }

  grow(count: number): void {
    const before = this.#allowed;
    this.#allowed = Math.min(this.#length, this.#allowed + count);
    for (const wake of this.#wakes) wake();
    if (before < this.#length && this.#allowed === this.#length) this.#onState(ExecutionState.ENDED);
  }

  watched() {
    const { sessionId, executionId } = this.#request;
    const state = this.#allowed === this.#length ? ExecutionState.ENDED : ExecutionState.RUNNING;
    return { sessionId, executionId, kind: ExecutionKind.CELL, state };
  }

  async *read(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    for (let sequence = from; sequence <= this.#length; sequence += 1) {
      while (sequence > this.#allowed) await this.#more(signal);
      yield ExecutionEvent.encode(this.#event(sequence)).finish();
    }
  }

  async #more(signal: AbortSignal): Promise<void> {
    let wake: () => void = () => undefined;
    const more = new Promise<void>((resolve) => (wake = resolve));
    this.#wakes.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    await more;
    this.#wakes.delete(wake);
    if (signal.aborted && !isLinkLost(signal.reason)) this.cancelled = true;
    signal.throwIfAborted();
  }

  #event(sequence: number): ExecutionEvent {
    const numbered = { sequence, elapsedUs: sequence * 10 };
    if (sequence === 1) return { ...numbered, event: { $case: 'queued', value: { ahead: 0, createTime: undefined } } };
    if (sequence < this.#length) {
      const text = `${sequence - 1}\n`;
      return { ...numbered, event: { $case: 'stdout', value: { content: { $case: 'text', value: text } } } };
    }
    const ended = {
      outcome: { $case: 'completed' as const, value: {} },
      cause: Cause.NONE,
      statePreserved: true,
      detachedOutput: false,
      endTime: undefined,
      executionCount: 1,
    };
    return { ...numbered, event: { $case: 'ended', value: ended } };
  }
}

/** Every method of a service, each of which fails. */
function unimplemented<S extends ServiceDefinitionLike>(definition: S): Implementation<S> {
  const fail = () => {
    throw new StatusError('METHOD_UNKNOWN', 'the fake agent does not do this');
  };
  return Object.fromEntries(Object.keys(definition.methods).map((key) => [key, fail])) as unknown as Implementation<S>;
}
