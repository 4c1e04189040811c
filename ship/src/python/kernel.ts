import { setTimeout as delay } from 'node:timers/promises';
import type { Kernel as KernelSnapshot, PythonCell } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import type { BackgroundSink, ExecutionHandle } from '../executions/execution.js';
import type { Log } from '../part-deps.js';
import type { ProcessExit, SessionRunner } from '../workspace/session-runner.js';
import { Cell, type CellKernel } from './cell.js';
import { launch, type Launched, type Variant } from './launch.js';
import { toMeaning } from './to-event.js';
import { toObject, type KernelReply, type RequestType } from './wire.js';

export interface KernelOptions {
  readonly runner: SessionRunner;
  /** Tells its sockets from those of the session's other kernels. */
  readonly number: number;
  /** What to start first; where ours does not come up, a stock one is tried. */
  readonly variant: Variant;
  readonly background: BackgroundSink;
  readonly log: Log;
  /** Aborts the start. */
  readonly signal: AbortSignal;
  readonly onChange: (kernel: Kernel) => void;
}

/** A kernel that has not answered after this does not come. */
const START_TIMEOUT_MS = 30_000;
/** Between two questions while iopub is silent: a subscription takes effect some time after the connection. */
const NUDGE_MS = 10;
/** After the process's end its last messages are still on the way: they are in once nothing came for this long. */
const QUIET_MS = 50;
const QUIET_LIMIT_MS = 5000;
/** How long an idle kernel may take to leave by itself, running what the user's code registered for its exit. */
const SHUTDOWN_MS = 300;

/** A session's kernel from its first answer to the end of its process. */
export class Kernel implements CellKernel {
  /** Given by whoever makes it the session's kernel; 0 until then. */
  generation = 0;
  readonly ours: boolean;
  readonly #options: KernelOptions;
  #launched!: Launched;
  #features: Readonly<Record<string, unknown>> = {};

  #cell: Cell | undefined;
  #executionCount = 0;
  #exit: ProcessExit | undefined;
  #ending = false;
  #ready = false;
  /** Resolves when the process is gone and its last output was taken. */
  readonly gone: Promise<void>;
  #markGone!: () => void;

  #lastIopub = 0;
  #holding = false;
  #firstIopub!: () => void;
  readonly #iopubSeen = new Promise<void>((resolve) => (this.#firstIopub = resolve));
  #onInfo: ((reply: KernelReply) => void) | undefined;

  private constructor(options: KernelOptions, variant: Variant) {
    this.#options = options;
    this.ours = variant === 'shipyard';
    this.gone = new Promise((resolve) => (this.#markGone = resolve));
  }

  /**
   * Starts a kernel and answers when it takes cells. Where our launcher's does not start, a stock one is tried.
   *
   * @throws Error that says why neither came up
   */
  static async start(options: KernelOptions): Promise<Kernel> {
    try {
      return await Kernel.startWithoutFallback(options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (options.variant === 'stock') throw error;
      options.log.warn({ kernel: options.number, reason: String(error) }, 'falling back to a stock kernel');
      return Kernel.#startVariant(options, 'stock');
    }
  }

  /** @throws Error that says why it did not come up */
  static startWithoutFallback(options: KernelOptions): Promise<Kernel> {
    return Kernel.#startVariant(options, options.variant);
  }

  static async #startVariant(options: KernelOptions, variant: Variant): Promise<Kernel> {
    const kernel = new Kernel(options, variant);
    kernel.#launched = await launch({
      runner: options.runner,
      number: options.number,
      variant,
      handlers: {
        iopub: (message) => kernel.#guarded(() => kernel.#onIopub(message)),
        shell: (message) => kernel.#guarded(() => kernel.#onShell(message)),
        stdin: (message) => kernel.#guarded(() => kernel.#onStdin(message)),
      },
      onFault: (error) => options.log.warn({ kernel: options.number, reason: String(error) }, 'kernel channel'),
    });
    void kernel.#watch();
    const limit = timeoutSignal(START_TIMEOUT_MS, options.signal);
    try {
      await kernel.#shakeHands(limit);
    } catch (error) {
      kernel.kill();
      await kernel.gone;
      const words = kernel.#launched.lastWords.take().toString('utf8').trim().slice(-2000);
      const isLate = limit.aborted && !options.signal.aborted;
      const why = isLate ? `no answer within ${START_TIMEOUT_MS} ms` : (error as Error).message;
      throw new Error(words === '' ? why : `${why}: ${words}`, { cause: error });
    }
    kernel.#ready = true;
    kernel.#launched.lastWords.take();
    return kernel;
  }

  /** Until the kernel has answered on shell and was heard on iopub: output sent before a subscription counts is lost. */
  async #shakeHands(signal: AbortSignal): Promise<void> {
    const lost = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      void this.gone.then(() => reject(new Error(`the kernel's process ${describeExit(this.#exit)}`)));
    });
    lost.catch(() => undefined); // is raced below; once that is won nobody waits for it
    let heard = false;
    void this.#iopubSeen.then(() => (heard = true));
    signal.throwIfAborted();
    while (!heard) {
      const answered = new Promise<KernelReply>((resolve) => (this.#onInfo = resolve));
      this.send('shell', this.nextId(), 'kernel_info_request', {});
      const info = await Promise.race([answered, lost]);
      this.#features = toObject(info.content['shipyard']);
      await Promise.race([this.#iopubSeen, delay(NUDGE_MS), lost]);
    }
  }

  // What cells and the service ask

  get byteExact(): boolean {
    return this.#features['byte_exact'] === true;
  }

  get lossless(): boolean {
    return this.#features['lossless'] === true;
  }

  /** Levers of our launcher that do not fit the installed ipykernel, with reasons. */
  get missingLevers(): Readonly<Record<string, unknown>> {
    return toObject(this.#features['missing']);
  }

  get alive(): boolean {
    return this.#ready && this.#exit === undefined && !this.#ending;
  }

  snapshot(): KernelSnapshot {
    return {
      sessionId: this.#options.runner.sessionId,
      generation: this.generation,
      status: this.#status(),
      executionCount: this.#executionCount,
      workspace: this.#options.runner.workspace,
    };
  }

  #status(): string {
    if (this.#exit !== undefined || this.#ending) return 'dead';
    if (!this.#ready) return 'starting';
    return this.#cell ? 'busy' : 'idle';
  }

  /** Runs a cell; the queue in front sends one at a time. */
  execute(handle: ExecutionHandle, request: PythonCell): Cell {
    const cell = new Cell(handle, request, this);
    this.#cell = cell;
    this.#launched.lastWords.take();
    cell.begin();
    // While the kernel reads the cell: nothing of it can have run out of memory yet.
    this.#launched.process.workBegins();
    // The process may have gone since the caller looked.
    if (this.#exit !== undefined) void this.gone.then(() => this.#bury(cell));
    this.#options.onChange(this);
    return cell;
  }

  finished(cell: Cell, executionCount: number): void {
    if (this.#cell !== cell) return;
    this.#cell = undefined;
    if (executionCount > 0) this.#executionCount = executionCount;
    this.#options.onChange(this);
  }

  nextId(): string {
    return this.#launched.channels.nextId();
  }

  send(channel: 'shell' | 'stdin', id: string, type: RequestType, content: object): void {
    this.#launched.channels.send(channel, id, type, content);
  }

  interrupt(): void {
    if (this.#exit === undefined) this.#launched.process.kill('SIGINT');
  }

  kill(): void {
    if (this.#exit === undefined) this.#launched.process.kill('SIGKILL', { tree: true });
  }

  /** Ends the kernel on request: an idle one may say goodbye, a busy one is killed. Resolves when it is gone. */
  async end(): Promise<void> {
    this.#ending = true;
    if (this.#exit === undefined && !this.#cell) {
      this.#launched.channels.send('control', this.nextId(), 'shutdown_request', { restart: false });
      await Promise.race([this.#launched.process.exited, delay(SHUTDOWN_MS)]);
    }
    this.kill();
    await this.gone;
  }

  // What the kernel says

  /** A defect of ours that a message brings out costs this kernel, and not the other sessions of the agent. */
  #guarded(take: () => Promise<void> | undefined): Promise<void> | undefined {
    try {
      return take()?.catch(this.#onDefect);
    } catch (error) {
      this.#onDefect(error);
      return undefined;
    }
  }

  readonly #onDefect = (error: unknown): void => {
    this.#options.log.error({ generation: this.generation, err: error }, 'defect: the kernel ends');
    this.kill();
  };

  #onIopub(message: KernelReply): Promise<void> | undefined {
    this.#lastIopub = performance.now();
    this.#firstIopub();
    const held = this.#route(message);
    if (!held) return undefined;
    this.#holding = true;
    return held.finally(() => {
      this.#holding = false;
      this.#lastIopub = performance.now();
    });
  }

  #route(message: KernelReply): Promise<void> | undefined {
    const cell = this.#cell;
    if (cell && message.parentId === cell.id) return cell.onIopub(message);
    cell?.onSettled(message.parentId);
    // Of an ended cell, of its threads and children, or of none.
    const meaning = toMeaning(message, 0);
    if (!meaning) return undefined;
    const { background } = this.#options;
    return 'stream' in meaning ? background.output(meaning.stream, meaning.bytes) : background.append(meaning.event);
  }

  #onShell(message: KernelReply): undefined {
    if (message.type === 'kernel_info_reply') this.#onInfo?.(message);
    else if (message.type === 'execute_reply' && message.parentId === this.#cell?.id) this.#cell.onReply(message);
  }

  #onStdin(message: KernelReply): Promise<void> | undefined {
    if (message.type !== 'input_request' || message.parentId !== this.#cell?.id) return undefined;
    return this.#cell.onInputRequest(message);
  }

  // Its end

  async #watch(): Promise<void> {
    const exit = await this.#launched.process.exited;
    this.#exit = exit;
    this.#options.onChange(this);
    // What its code started goes with it, however it ended: nobody has it in hand any more.
    this.#launched.process.kill('SIGKILL', { tree: true });
    await this.#quiet();
    if (this.#cell) this.#bury(this.#cell);
    this.#launched.channels.close();
    await this.#launched.cleanUp().catch((error: unknown) => {
      this.#options.log.warn({ generation: this.generation, reason: String(error) }, 'kernel sockets not removed');
    });
    this.#markGone();
  }

  #bury(cell: Cell): void {
    if (this.#exit) cell.onGone(this.#exit, this.#ending, this.#launched.lastWords.take());
  }

  async #quiet(): Promise<void> {
    const start = performance.now();
    this.#lastIopub = Math.max(this.#lastIopub, start);
    while (this.#holding || performance.now() - this.#lastIopub < QUIET_MS) {
      if (performance.now() - start > QUIET_LIMIT_MS) return;
      await delay(QUIET_MS / 5);
    }
  }
}

function describeExit(exit: ProcessExit | undefined): string {
  switch (exit?.kind) {
    case 'exited':
      return `exited with code ${exit.code}`;
    case 'signaled':
      return `was ended by ${exit.signal}`;
    default:
      return 'went away with its sandbox';
  }
}
