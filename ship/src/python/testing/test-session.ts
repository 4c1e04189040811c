import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { StartExecutionRequest, type Kernel } from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import type { EventBody, ExecutionHandle, Work, WorkEnd } from '../../executions/execution.js';
import type { SessionRunner } from '../../workspace/session-runner.js';
import { createCellKind } from '../cell-kind.js';
import { Kernels } from '../kernels.js';
import type { Variant } from '../launch.js';
import { LocalSessionRunner, type LocalRunnerOptions } from './local-session-runner.js';

/** Everything a cell reported, as a log would hold it. */
export class RecordedExecution implements ExecutionHandle {
  readonly sessionId: string;
  readonly executionId: string;
  readonly request: StartExecutionRequest;
  readonly events: EventBody[] = [];
  readonly abort = new AbortController();
  readonly signal = this.abort.signal;
  lastSequence = 0;
  /** What append and output return, as the log's back-pressure does. */
  hold: Promise<void> | undefined;
  readonly #out = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[], pty: [] as Uint8Array[] };
  #waiting: { matches: (event: EventBody) => boolean; resolve: (event: EventBody) => void }[] = [];
  #onOutput: (() => void) | undefined;

  constructor(sessionId: string, executionId: string, cell: Partial<Cell>) {
    this.sessionId = sessionId;
    this.executionId = executionId;
    const value = { code: '', silent: false, allowStdin: false, kernelGeneration: 0, ...cell };
    this.request = StartExecutionRequest.fromPartial({ sessionId, executionId, work: { $case: 'cell', value } });
  }

  append(event: EventBody): Promise<void> | undefined {
    this.lastSequence++;
    this.events.push(event);
    for (const waiting of this.#waiting) if (waiting.matches(event)) waiting.resolve(event);
    return this.hold;
  }

  output(stream: 'stdout' | 'stderr' | 'pty', bytes: Uint8Array): Promise<void> | undefined {
    this.lastSequence++;
    this.#out[stream].push(bytes);
    this.#onOutput?.();
    return this.hold;
  }

  endIsNear(): void {}

  bytes(stream: 'stdout' | 'stderr' = 'stdout'): Buffer {
    return Buffer.concat(this.#out[stream]);
  }

  text(stream: 'stdout' | 'stderr' = 'stdout'): string {
    return this.bytes(stream).toString('utf8');
  }

  of<K extends keyof ValueOf>($case: K): ValueOf[K][] {
    return this.events.filter((event) => event.$case === $case).map((event) => event.value as ValueOf[K]);
  }

  /** The first event of this kind, now or later. */
  async next($case: EventBody['$case']): Promise<EventBody> {
    const matches = (event: EventBody) => event.$case === $case;
    const there = this.events.find(matches);
    return there ?? new Promise((resolve) => this.#waiting.push({ matches, resolve }));
  }

  /** Resolves with the next piece of output. */
  async nextOutput(): Promise<void> {
    await new Promise<void>((resolve) => (this.#onOutput = resolve));
  }

  /** Resolves once stdout holds the text. */
  async printed(text: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onOutput = () => this.text().includes(text) && resolve();
      this.#onOutput();
    });
  }
}

type ValueOf = { [E in EventBody as E['$case']]: E['value'] };

interface Cell {
  code: string;
  silent: boolean;
  allowStdin: boolean;
  kernelGeneration: number;
}

export interface Begun {
  readonly log: RecordedExecution;
  readonly work: Work;
}

/** Kernels over runners without sandboxes, for one or more sessions. */
export class TestSessions {
  readonly stateDir = mkdtempSync(path.join(tmpdir(), 'ship-state-'));
  readonly runners = new Map<string, LocalSessionRunner>();
  /** Runners of another making, in place of local ones. */
  readonly given = new Map<string, SessionRunner>();
  readonly backgrounds = new Map<string, RecordedExecution>();
  readonly warnings: object[] = [];
  readonly changes: Kernel[] = [];
  readonly kernels: Kernels;
  readonly #kind;
  readonly #options: LocalRunnerOptions;
  #count = 0;

  constructor(options: LocalRunnerOptions & { launcher?: Variant } = {}) {
    this.#options = options;
    const quiet = () => undefined;
    this.kernels = new Kernels({
      stateDir: this.stateDir,
      launcher: options.launcher ?? 'shipyard',
      log: { debug: quiet, info: quiet, error: quiet, warn: (fields) => this.warnings.push(fields) },
      sessions: { runner: async (sessionId) => this.given.get(sessionId) ?? this.runner(sessionId) },
      background: (sessionId) => this.background(sessionId),
    });
    this.kernels.onChange((kernel) => this.changes.push(kernel));
    this.#kind = createCellKind({ kernels: this.kernels });
  }

  runner(sessionId = 'one'): LocalSessionRunner {
    let runner = this.runners.get(sessionId);
    if (!runner) this.runners.set(sessionId, (runner = new LocalSessionRunner(sessionId, this.#options)));
    return runner;
  }

  background(sessionId = 'one'): RecordedExecution {
    let background = this.backgrounds.get(sessionId);
    if (!background) {
      this.backgrounds.set(sessionId, (background = new RecordedExecution(sessionId, 'background', {})));
    }
    return background;
  }

  async begin(code: string, cell: Partial<Cell> & { sessionId?: string; hold?: Promise<void> } = {}): Promise<Begun> {
    const { sessionId = 'one', hold, ...rest } = cell;
    const log = new RecordedExecution(sessionId, `cell-${++this.#count}`, { code, ...rest });
    log.hold = hold;
    return { log, work: await this.#kind.begin(log) };
  }

  async run(
    code: string,
    cell: Partial<Cell> & { sessionId?: string } = {},
  ): Promise<{ log: RecordedExecution; end: WorkEnd }> {
    const { log, work } = await this.begin(code, cell);
    return { log, end: await work.ended };
  }

  async close(): Promise<void> {
    await Promise.all(this.kernels.list().map((kernel) => this.kernels.endSession(kernel.sessionId)));
    await Promise.all([...this.runners.values()].map((runner) => runner.close()));
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}
