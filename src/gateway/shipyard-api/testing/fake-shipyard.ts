/** Ships, sessions, files and executions in memory, behind the three clients that the documented routes are given. */
import { ShipState, type CreateShipRequest, type Ship } from '../../../../proto/gen/shipyard/bay/v1/bay.js';
import {
  Cause,
  ExecutionEvent,
  ExecutionKind,
  ExecutionState,
  Lifetime,
  type Ended,
  type Execution,
  type Kernel,
  type StartExecutionRequest,
} from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import { DownloadResponse, type FileInfo } from '../../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { CallOptions } from '../../../../proto/rpc/definition.js';
import { StatusError } from '../../../../proto/rpc/status-error.js';
import type { EventBody } from '../fold/events.js';
import type { BayClient, ExecutionClient, FileClient } from '../types.js';

export const SHIP_ID = '8d1f8f64-9f5c-4d11-9a06-3f1f0f3f2b11';
export const STOPPED_ID = '11111111-9f5c-4d11-9a06-3f1f0f3f2b11';
export const SESSION = 'session-1';
export const WORKSPACE = '/home/user/workspace';

/** The events of an execution, the same at every reading. */
export type Script = (request: StartExecutionRequest) => Iterable<EventBody> | AsyncIterable<EventBody>;

interface Run {
  readonly request: StartExecutionRequest;
  state: Execution;
}

export class FakeShipyard {
  readonly ships = new Map<string, Ship>();
  readonly contents = new Map<string, Buffer>();
  readonly runs: Run[] = [];
  readonly created: CreateShipRequest[] = [];
  readonly deleted: Array<{ shipId: string; keepWorkspace: boolean }> = [];
  readonly calls: Array<{ method: string; request: unknown }> = [];
  readonly cancelled: string[] = [];
  logs: string[] = ['booted\n', 'ready "1"\n'];
  kernel: Kernel | undefined;
  script: Script = () => [completed()];
  /** Looks at every call first; what it throws is the call's failure. */
  onCall: (method: string, request: unknown) => void = () => undefined;
  /** Thrown by the named method instead of its answer. */
  readonly failures = new Map<string, StatusError>();
  /** Bytes of all uploads so far, also of those that are not complete. */
  uploadedBytes = 0;
  /** What downloads say of their length beyond the truth. */
  announcedExtraBytes = 0;

  constructor() {
    this.ships.set(SHIP_ID, runningShip(SHIP_ID));
    const stopped = { state: ShipState.STOPPED, expireTime: undefined, stateReason: 'stopped by request' };
    this.ships.set(STOPPED_ID, { ...runningShip(STOPPED_ID), ...stopped });
  }

  readonly bay = this.#client<BayClient>({
    createShip: async (request) => {
      this.created.push(request);
      const ttlSeconds = request.ttlSeconds ?? 3600;
      const ship = { ...runningShip(SHIP_ID), ttlSeconds, maxSessionNum: request.maxSessionNum ?? 1 };
      this.ships.set(SHIP_ID, ship);
      return ship;
    },
    getShip: async ({ shipId }) => this.#ship(shipId),
    listShips: async () => ({ ships: [...this.ships.values()].filter((ship) => ship.state === ShipState.RUNNING) }),
    deleteShip: async (request) => {
      this.#ship(request.shipId);
      this.deleted.push(request);
      return {};
    },
    extendTtl: async ({ shipId, ttlSeconds }) => ({ ...this.#running(shipId), ttlSeconds: ttlSeconds - 1 }),
    streamShipLogs: (request) => this.#streamLogs(request.shipId),
  });

  readonly files = this.#client<FileClient>({
    readText: async ({ shipId, sessionId, path }) => {
      const content = this.#file(shipId, sessionId, path);
      return { content: content.toString(), path: absolute(path), sizeBytes: content.length };
    },
    writeText: async ({ shipId, sessionId, path, content, append }) => {
      this.#access(shipId, sessionId, path);
      const before = append ? (this.contents.get(absolute(path)) ?? Buffer.alloc(0)) : Buffer.alloc(0);
      const bytes = Buffer.concat([before, Buffer.from(content)]);
      this.contents.set(absolute(path), bytes);
      return { path: absolute(path), sizeBytes: bytes.length };
    },
    editText: async ({ shipId, sessionId, path, oldString, newString }) => {
      const text = this.#file(shipId, sessionId, path).toString();
      const count = text.split(oldString).length - 1;
      if (count === 0) throw new StatusError('EDIT_FAILED', "'old_string' not found in file");
      const edited = Buffer.from(text.replaceAll(oldString, newString));
      this.contents.set(absolute(path), edited);
      return { path: absolute(path), replacements: count, sizeBytes: edited.length };
    },
    deleteFile: async ({ shipId, sessionId, path }) => {
      this.#access(shipId, sessionId, path);
      if (path === 'dir') return { wasDirectory: true };
      if (!this.contents.delete(absolute(path))) throw new StatusError('FILE_NOT_FOUND', `Path not found: ${path}`);
      return { wasDirectory: false };
    },
    listDirectory: async ({ shipId, sessionId, path }) => {
      this.#access(shipId, sessionId, path);
      if (path !== '.') throw new StatusError('FILE_NOT_FOUND', `Directory not found: ${path}`);
      const files = [
        fileInfo('dir', 0, true),
        ...[...this.contents].map(([name, data]) => fileInfo(name, data.length)),
      ];
      return { files, path: WORKSPACE, truncated: false };
    },
    getFileInfo: async ({ shipId, sessionId, path }) => {
      this.#access(shipId, sessionId, path);
      return { ...fileInfo('workspace', 0, true), path: WORKSPACE };
    },
    upload: (requests, options) => this.#upload(requests, options),
    download: (request) => this.#download(request.shipId, request.sessionId, request.path),
  });

  readonly executions = this.#client<ExecutionClient>({
    startExecution: (request, options) => this.#start(request, options),
    attachExecution: (request) => {
      const run = this.#run(request.shipId, request.sessionId, request.executionId);
      return this.#replay(run.request, request.fromSequence);
    },
    getExecution: async (request) => this.#run(request.shipId, request.sessionId, request.executionId).state,
    listExecutions: async (request) => {
      this.#access(request.shipId, request.sessionId);
      return { executions: this.runs.map((run) => run.state).filter((state) => state.background) };
    },
    cancelExecution: async (request) => {
      const run = this.#run(request.shipId, request.sessionId, request.executionId);
      this.cancelled.push(request.executionId);
      run.state = { ...run.state, state: ExecutionState.ENDED, ended: signaled('SIGTERM').value };
      return {};
    },
    startKernel: async ({ shipId, sessionId }) => {
      this.#access(shipId, sessionId);
      return (this.kernel ??= idleKernel(sessionId));
    },
    getKernel: async ({ shipId, sessionId }) => {
      this.#access(shipId, sessionId);
      return this.#kernel();
    },
    listKernels: async ({ shipId, sessionId }) => {
      this.#access(shipId, sessionId);
      return { kernels: this.kernel ? [this.kernel] : [] };
    },
    shutdownKernel: async ({ shipId, sessionId }) => {
      this.#access(shipId, sessionId);
      this.#kernel();
      this.kernel = undefined;
      return {};
    },
  });

  /** Puts the recording and the set failures in front of every method. */
  #client<C extends object>(methods: Partial<C>): C {
    return new Proxy({} as C, {
      get: (_target, name) => {
        if (typeof name !== 'string') return undefined;
        const method = (methods as Record<string, (request: unknown, options?: CallOptions) => unknown>)[name];
        if (!method) throw new Error(`the fake has no ${name}`);
        return (request: unknown, options?: CallOptions) => {
          this.calls.push({ method: name, request });
          const failure = this.failures.get(name) ?? this.#refusal(name, request);
          if (!failure) return method(request, options);
          return STREAMED.has(name) ? failing(failure) : Promise.reject(failure);
        };
      },
    });
  }

  #refusal(method: string, request: unknown): StatusError | undefined {
    try {
      this.onCall(method, request);
      return undefined;
    } catch (error) {
      return error as StatusError;
    }
  }

  #ship(shipId: string): Ship {
    const ship = this.ships.get(shipId);
    if (!ship) throw new StatusError('SHIP_NOT_FOUND', `no ship ${shipId}`);
    return ship;
  }

  #running(shipId: string): Ship {
    const ship = this.#ship(shipId);
    if (ship.state !== ShipState.RUNNING) throw new StatusError('SHIP_NOT_RUNNING', `ship ${shipId} does not run`);
    return ship;
  }

  #access(shipId: string, sessionId: string, path = '.'): void {
    this.#running(shipId);
    if (sessionId !== SESSION) throw new StatusError('SESSION_NOT_BOUND', 'the session holds no right to this ship');
    if (!absolute(path).startsWith(WORKSPACE)) {
      throw new StatusError('PATH_OUTSIDE_WORKSPACE', `Access denied: path must be within workspace ${WORKSPACE}`);
    }
  }

  #file(shipId: string, sessionId: string, path: string): Buffer {
    this.#access(shipId, sessionId, path);
    if (path === '.' || path === 'dir') throw new StatusError('PATH_WRONG_KIND', `Path is not a file: ${path}`);
    const content = this.contents.get(absolute(path));
    if (!content) throw new StatusError('FILE_NOT_FOUND', `File not found: ${path}`);
    return content;
  }

  #kernel(): Kernel {
    if (!this.kernel) throw new StatusError('KERNEL_NOT_FOUND', 'the session has no kernel');
    return this.kernel;
  }

  async *#streamLogs(shipId: string): AsyncGenerator<{ text: string }> {
    this.#running(shipId);
    for (const text of this.logs) yield { text };
  }

  #upload: FileClient['upload'] = async (requests, options) => {
    let path = '';
    const chunks: Buffer[] = [];
    for await (const { part } of requests) {
      options?.signal?.throwIfAborted();
      if (part?.$case === 'header') {
        path = part.value.path;
        this.#access(part.value.shipId, part.value.sessionId, path);
        if (path === 'dir') throw new StatusError('PATH_WRONG_KIND', `Path is not a file: ${path}`);
      } else if (part) {
        this.uploadedBytes += part.value.length;
        if (path !== 'discard') chunks.push(Buffer.from(part.value));
      }
    }
    const bytes = Buffer.concat(chunks);
    this.contents.set(absolute(path), bytes);
    return { path: absolute(path), sizeBytes: bytes.length };
  };

  async *#download(shipId: string, sessionId: string, path: string): AsyncGenerator<Uint8Array> {
    const content = this.#file(shipId, sessionId, path);
    const info = fileInfo(path, content.length + this.announcedExtraBytes);
    yield DownloadResponse.encode({ part: { $case: 'info', value: info } }).finish();
    for (let at = 0; at < content.length; at += 1000) {
      yield DownloadResponse.encode({ part: { $case: 'data', value: content.subarray(at, at + 1000) } }).finish();
    }
  }

  async *#start(request: StartExecutionRequest, options?: CallOptions): AsyncGenerator<Uint8Array> {
    this.#access(request.shipId, request.sessionId);
    const command = request.work?.$case === 'command' ? request.work.value : undefined;
    const run: Run = {
      request,
      state: {
        executionId: request.executionId,
        kind: command ? ExecutionKind.COMMAND : ExecutionKind.CELL,
        state: ExecutionState.RUNNING,
        lastSequence: 0,
        oldestSequence: 1,
        createTime: new Date(),
        ended: undefined,
        started: undefined,
        command: command?.command ?? '',
        background: command?.background ?? false,
        logBytes: 0,
      },
    };
    this.runs.push(run);
    const aborted = new Promise<never>((_resolve, reject) => {
      options?.signal?.addEventListener('abort', () => {
        if (request.lifetime === Lifetime.CALL) this.cancelled.push(request.executionId);
        reject(StatusError.from(options.signal?.reason));
      });
    });
    aborted.catch(() => undefined);
    const events = this.#events(request)[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([events.next(), aborted]);
      if (next.done) return;
      const { event, sequence } = next.value;
      run.state.lastSequence = sequence;
      if (event?.$case === 'started') run.state.started = event.value;
      if (event?.$case === 'ended') run.state = { ...run.state, state: ExecutionState.ENDED, ended: event.value };
      yield ExecutionEvent.encode(next.value).finish();
    }
  }

  async *#replay(request: StartExecutionRequest, from: number): AsyncGenerator<Uint8Array> {
    for await (const event of this.#events(request)) {
      if (event.sequence >= from) yield ExecutionEvent.encode(event).finish();
    }
  }

  async *#events(request: StartExecutionRequest): AsyncGenerator<ExecutionEvent> {
    let sequence = 0;
    for await (const event of this.script(request)) yield { sequence: ++sequence, elapsedUs: sequence, event };
  }

  #run(shipId: string, sessionId: string, executionId: string): Run {
    this.#access(shipId, sessionId);
    const run = this.runs.find((candidate) => candidate.request.executionId === executionId);
    if (!run) throw new StatusError('EXECUTION_NOT_FOUND', `no execution ${executionId}`);
    return run;
  }
}

const STREAMED = new Set(['startExecution', 'attachExecution', 'download', 'streamShipLogs']);

async function* failing(error: StatusError): AsyncGenerator<never> {
  throw error;
}

function absolute(path: string): string {
  if (path.startsWith('/')) return path;
  return path.startsWith('..') ? '/home/user' : `${WORKSPACE}/${path}`;
}

export function runningShip(shipId: string): Ship {
  return {
    shipId,
    state: ShipState.RUNNING,
    createTime: new Date('2026-11-22T19:15:58.580Z'),
    updateTime: new Date('2026-11-22T19:16:00.000Z'),
    expireTime: new Date('2026-11-22T20:15:58.007Z'),
    ttlSeconds: 3599,
    maxSessionNum: 1,
    currentSessionNum: 1,
    incarnation: 1,
    driver: 'local',
    containerId: '4711',
    ipAddress: '',
    spec: undefined,
    isolation: undefined,
    stateReason: '',
  };
}

function idleKernel(sessionId: string): Kernel {
  return { sessionId, generation: 1, status: 'idle', executionCount: 0, workspace: WORKSPACE };
}

function fileInfo(path: string, sizeBytes: number, isDirectory = false): FileInfo {
  return {
    name: path.slice(path.lastIndexOf('/') + 1),
    path: absolute(path),
    isFile: !isDirectory,
    isDirectory,
    sizeBytes,
    modifyTime: new Date(1_700_000_000_000),
    mode: 0o644,
    linkTarget: '',
  };
}

const END = {
  cause: Cause.NONE,
  statePreserved: true,
  detachedOutput: false,
  endTime: undefined,
  executionCount: 0,
} as const;

export function ended(
  outcome: NonNullable<Ended['outcome']>,
  rest: Partial<Ended> = {},
): EventBody & { $case: 'ended' } {
  return { $case: 'ended', value: { ...END, outcome, ...rest } };
}

export function completed(executionCount = 1): EventBody {
  return ended({ $case: 'completed', value: {} }, { executionCount });
}

export function exited(code: number, rest: Partial<Ended> = {}): EventBody {
  return ended({ $case: 'exited', value: { code } }, rest);
}

export function signaled(name: string, rest: Partial<Ended> = {}): EventBody & { $case: 'ended' } {
  return ended({ $case: 'signaled', value: { name } }, rest);
}

export function started(pid = 0): EventBody {
  const value = { startTime: undefined, pid, kernelGeneration: 1, byteExact: true, lossless: true };
  return { $case: 'started', value };
}

export function output(stream: 'stdout' | 'stderr', content: string | Buffer): EventBody {
  const chunk =
    typeof content === 'string'
      ? ({ $case: 'text', value: content } as const)
      : ({ $case: 'data', value: content } as const);
  return { $case: stream, value: { content: chunk } };
}

/** @param items text, bytes, or `{ parts }`: to follow in that many blob parts */
export function display(
  kind: 'display' | 'result' | 'updateDisplay',
  items: Record<string, string | Buffer | { parts: number }>,
): EventBody {
  const mimeItems = Object.entries(items).map(([mimeType, content]) => {
    if (typeof content === 'string') return { mimeType, content: { $case: 'text' as const, value: content } };
    if (Buffer.isBuffer(content)) return { mimeType, content: { $case: 'data' as const, value: content } };
    const value = { count: content.parts, sizeBytes: 0, text: false };
    return { mimeType, content: { $case: 'parts' as const, value } };
  });
  const value = { items: mimeItems, metadataJson: '{}', displayId: '', executionCount: 1, largeFields: [] };
  return { $case: kind, value };
}

export function blobPart(mimeType: string, index: number, data: Buffer): EventBody {
  return { $case: 'blobPart', value: { mimeType, index, data } };
}

export function raised(traceback: string[]): EventBody[] {
  const error = { name: 'ValueError', value: 'x', traceback, executionCount: 1, largeFields: [] };
  return [{ $case: 'error', value: error }, ended({ $case: 'raised', value: {} }, { executionCount: 1 })];
}
