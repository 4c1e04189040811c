import type { Kernel as KernelSnapshot } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { BackgroundSink, KernelService } from '../executions/execution.js';
import type { Log } from '../part-deps.js';
import type { SessionDirectory, SessionRunner } from '../workspace/session-runner.js';
import { Generations } from './generations.js';
import { Kernel, type KernelOptions } from './kernel.js';
import type { Variant } from './launch.js';
import { SpareKernel } from './spare-kernel.js';

export interface KernelsDeps {
  readonly stateDir: string;
  readonly launcher: Variant;
  readonly log: Log;
  readonly sessions: SessionDirectory;
  background(sessionId: string): BackgroundSink;
}

export interface AcquireOptions {
  /** The generation that must serve; 0: any. */
  readonly generation: number;
  /** The caller gives up; a kernel that is starting goes on. */
  readonly signal: AbortSignal;
}

/** One session's place for a kernel. Its acts are done one after the other. */
interface Slot {
  readonly sessionId: string;
  kernel: Kernel | undefined;
  /** Started ahead of the first cell; no part of the session until a cell takes it. */
  spare: SpareKernel | undefined;
  /** While a kernel is coming up. */
  starting: KernelSnapshot | undefined;
  last: Promise<unknown>;
  acts: number;
  readonly ended: AbortController;
}

/** The kernels of the ship's sessions, at most one each. */
export class Kernels implements KernelService {
  readonly #deps: KernelsDeps;
  readonly #generations: Generations;
  readonly #slots = new Map<string, Slot>();
  readonly #listeners = new Set<(kernel: KernelSnapshot) => void>();
  #started = 0;

  constructor(deps: KernelsDeps) {
    this.#deps = deps;
    this.#generations = new Generations(deps.stateDir);
  }

  /**
   * The kernel for a cell: the session's, or a new one where there is none or it is dead.
   *
   * @throws StatusError KERNEL_STATE_LOST where another generation is demanded than lives
   * @throws StatusError KERNEL_START_FAILED that says why
   */
  async acquire(sessionId: string, { generation, signal }: AcquireOptions): Promise<Kernel> {
    const slot = this.#slot(sessionId);
    const kernel = slot.acts === 0 && slot.kernel?.alive ? slot.kernel : undefined;
    return kernel && isWanted(kernel, generation) ? kernel : this.#acquireLater(slot, generation, signal);
  }

  async #acquireLater(slot: Slot, generation: number, signal: AbortSignal): Promise<Kernel> {
    const ready = this.#act(slot, async () => {
      if (generation > 0 && !(slot.kernel?.alive && isWanted(slot.kernel, generation))) {
        throw new StatusError('KERNEL_STATE_LOST', `kernel generation ${generation} is gone`, {
          details: { kernelGeneration: slot.kernel?.alive ? slot.kernel.generation : 0 },
        });
      }
      signal.throwIfAborted();
      return slot.kernel?.alive ? slot.kernel : this.#launch(slot);
    });
    return abortable(ready, signal);
  }

  async start(sessionId: string): Promise<KernelSnapshot> {
    const slot = this.#slot(sessionId);
    const kernel = await this.#act(slot, async () => (slot.kernel?.alive ? slot.kernel : this.#launch(slot)));
    return kernel.snapshot();
  }

  prepare(sessionId: string): void {
    const slot = this.#slot(sessionId);
    if (slot.spare || slot.kernel || slot.acts > 0) return;
    slot.spare = new SpareKernel(async (dropped) => {
      const signal = AbortSignal.any([slot.ended.signal, dropped]);
      return Kernel.startWithoutFallback(this.#options(slot, await this.#deps.sessions.runner(sessionId), signal));
    });
  }

  dropPrepared(sessionId: string): void {
    const slot = this.#slots.get(sessionId);
    slot?.spare?.drop();
    if (slot) slot.spare = undefined;
  }

  async restart(sessionId: string): Promise<KernelSnapshot> {
    const slot = this.#slot(sessionId);
    const kernel = await this.#act(slot, async () => {
      await slot.kernel?.end();
      return this.#launch(slot);
    });
    return kernel.snapshot();
  }

  async shutdown(sessionId: string): Promise<boolean> {
    const slot = this.#slots.get(sessionId);
    if (!slot) return false;
    return this.#act(slot, async () => {
      const kernel = slot.kernel;
      const lived = kernel?.alive === true;
      await kernel?.end();
      slot.kernel = undefined;
      return lived;
    });
  }

  get(sessionId: string): KernelSnapshot | undefined {
    const slot = this.#slots.get(sessionId);
    return slot?.starting ?? slot?.kernel?.snapshot();
  }

  list(): readonly KernelSnapshot[] {
    return [...this.#slots.values()].flatMap((slot) => slot.starting ?? slot.kernel?.snapshot() ?? []);
  }

  async endSession(sessionId: string): Promise<void> {
    const slot = this.#slots.get(sessionId);
    if (!slot) return;
    slot.ended.abort(new Error('the session ended'));
    this.dropPrepared(sessionId);
    await this.#act(slot, async () => slot.kernel?.end());
    // Not one that came back meanwhile.
    if (this.#slots.get(sessionId) === slot) this.#slots.delete(sessionId);
  }

  onChange(listener: (kernel: KernelSnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #slot(sessionId: string): Slot {
    const known = this.#slots.get(sessionId);
    if (known && !known.ended.signal.aborted) return known;
    const slot: Slot = {
      sessionId,
      kernel: undefined,
      spare: undefined,
      starting: undefined,
      // A session that comes back waits until the old one is gone.
      last: known?.last ?? Promise.resolve(),
      acts: 0,
      ended: new AbortController(),
    };
    this.#slots.set(sessionId, slot);
    return slot;
  }

  async #act<T>(slot: Slot, act: () => Promise<T>): Promise<T> {
    slot.acts++;
    const done = slot.last.then(act).finally(() => slot.acts--);
    slot.last = done.catch(() => undefined); // told to the one who asked
    return done;
  }

  async #launch(slot: Slot): Promise<Kernel> {
    const { sessionId } = slot;
    slot.ended.signal.throwIfAborted();
    const runner = await this.#deps.sessions.runner(sessionId);
    const generation = await this.#generations.next(sessionId);
    slot.starting = { sessionId, generation, status: 'starting', executionCount: 0, workspace: runner.workspace };
    this.#changed(slot.starting);
    const started = performance.now();
    try {
      const kernel = (await takeSpare(slot)) ?? (await Kernel.start(this.#options(slot, runner, slot.ended.signal)));
      kernel.generation = generation;
      slot.kernel = kernel;
      this.#deps.log.info(
        {
          sessionId,
          generation,
          ours: kernel.ours,
          byteExact: kernel.byteExact,
          lossless: kernel.lossless,
          missing: kernel.missingLevers,
          durationMs: Math.round(performance.now() - started),
        },
        'kernel started',
      );
      return kernel;
    } catch (error) {
      throw new StatusError('KERNEL_START_FAILED', (error as Error).message, { cause: error });
    } finally {
      slot.starting = undefined;
      this.#changed(
        slot.kernel?.snapshot() ?? {
          sessionId,
          generation,
          status: 'dead',
          executionCount: 0,
          workspace: runner.workspace,
        },
      );
    }
  }

  #options(slot: Slot, runner: SessionRunner, signal: AbortSignal): KernelOptions {
    return {
      runner,
      number: ++this.#started,
      variant: this.#deps.launcher,
      background: this.#deps.background(slot.sessionId),
      log: this.#deps.log,
      signal,
      onChange: (kernel) => {
        if (slot.kernel === kernel) this.#changed(kernel.snapshot());
      },
    };
  }

  #changed(kernel: KernelSnapshot): void {
    for (const listener of this.#listeners) listener(kernel);
  }
}

async function takeSpare(slot: Slot): Promise<Kernel | undefined> {
  const { spare } = slot;
  const kernel = await spare?.take();
  if (slot.spare === spare) slot.spare = undefined;
  return kernel;
}

function isWanted(kernel: Kernel, generation: number): boolean {
  return generation === 0 || kernel.generation === generation;
}

/** The promise's value, or the signal's reason once it aborts; what the promise does then is nobody's. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
