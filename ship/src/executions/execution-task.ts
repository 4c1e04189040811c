import { constants } from 'node:os';
import type { Started } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { Cause, Ended, type StartExecutionRequest } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Log } from '../part-deps.js';
import { CallOwnership } from './call-ownership.js';
import type { Clock, Timer } from './clock.js';
import { ControlMemory } from './control-memory.js';
import type { EventBody, ExecutionHandle, Outcome, Work, WorkEnd, WorkKind } from './execution.js';
import type { ExecutionLog } from './execution-log.js';

/** Between the gentle end of work and the kill. */
export const STOP_GRACE_MS = 500;

/** Work that has not ended this long after it was to be killed is sealed as unknown. */
const ABANDON_MS = 10_000;

/** Input taken in one call. */
export const MAX_INPUT_BYTES = 64 * 1024;
/** How long a WriteInput waits for the work to take something. */
const INPUT_WAIT_MS = 250;
const INPUT_RETRY_MS = 10;

/** A cell asks one thing at a time; more are remembered only to tell a late second answer from a wrong number. */
const REMEMBERED_INPUTS = 256;

export interface TaskDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly executionLog: ExecutionLog;
  /** Loaded on first use. */
  kind(): Promise<WorkKind>;
  /** Takes the task out of the queue it waits in. */
  leaveQueue(): void;
  /** The state or the end changed. */
  onChange(): void;
}

export type TaskState = 'QUEUED' | 'RUNNING' | 'ENDED';

/** The life of one execution: from acceptance over the queue and the work to its one end. */
export class ExecutionTask {
  readonly controls = new ControlMemory();
  readonly owners: CallOwnership;
  /** Resolves with the end, after it was appended. */
  readonly done: Promise<Ended>;
  state: TaskState = 'QUEUED';
  started: Started | undefined;
  ended: Ended | undefined;
  #resolveDone: (ended: Ended) => void = () => undefined;
  #phase: 'waiting' | 'beginning' | 'working' | 'over' = 'waiting';
  #work: Work | undefined;
  readonly #begun: Promise<void>;
  #resolveBegun: () => void = () => undefined;
  #cause: Cause | undefined;
  #graceMs = Infinity;
  readonly #abort = new AbortController();
  #queueTimer: Timer | undefined;
  #deadlineTimer: Timer | undefined;
  #abandonTimer: Timer | undefined;
  #abandoned: () => void = () => undefined;
  readonly #whenAbandoned: Promise<undefined>;
  readonly #openInputs = new Map<number, 'open' | 'answered'>();
  #acceptedInput = 0;
  #inputClosed = false;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(
    readonly sessionId: string,
    readonly executionId: string,
    readonly request: StartExecutionRequest,
    private readonly deps: TaskDeps,
  ) {
    this.done = new Promise((resolve) => (this.#resolveDone = resolve));
    this.#begun = new Promise((resolve) => (this.#resolveBegun = resolve));
    this.#whenAbandoned = new Promise((resolve) => (this.#abandoned = () => resolve(undefined)));
    this.owners = new CallOwnership(deps.clock, () => this.stop(Cause.CANCELLED));
    if (request.queueTimeoutMs > 0)
      this.#queueTimer = deps.clock.setTimer(request.queueTimeoutMs, () => this.stop(Cause.DEADLINE));
  }

  /** Whether it waits for the kernel to be free. */
  get waiting(): boolean {
    return this.#phase === 'waiting';
  }

  /** Does the work; resolves when whoever waits behind it may go on. Never rejects. */
  async run(): Promise<void> {
    if (this.#phase !== 'waiting') return;
    this.#phase = 'beginning';
    const work = await Promise.race([this.#begin(), this.#whenAbandoned]);
    const end = work && (await Promise.race([this.#endOf(work), this.#whenAbandoned]));
    this.#finish(end ?? { outcome: { $case: 'unknown', value: {} } });
  }

  /**
   * Has the work ended, for the first cause that asks. Repeating it can shorten the grace, never change the cause.
   *
   * @param graceMs between the gentle end and the kill
   */
  stop(cause: Cause, graceMs = STOP_GRACE_MS): void {
    if (this.#phase === 'over') return;
    this.#cause ??= cause;
    this.#graceMs = Math.min(this.#graceMs, graceMs);
    if (this.#phase === 'waiting') {
      this.deps.leaveQueue();
      this.#finish({ outcome: { $case: 'couldNotStart', value: { reason: this.#whyNeverRun() } } });
      return;
    }
    this.#abort.abort(new StatusError('CANCELLED', 'the execution is to end'));
    if (this.#work) this.#stopWork(this.#work, this.#graceMs);
    this.#abandonTimer ??= this.deps.clock.setTimer(this.#graceMs + ABANDON_MS, () => {
      this.deps.log.error({ executionId: this.executionId, phase: this.#phase }, 'work did not end and was given up');
      this.#abandoned();
    });
  }

  /** @throws StatusError EXECUTION_ENDED, CONTROL_UNSUPPORTED, INPUT_GAP, the signal's reason */
  async writeInput(
    input: { offset?: number; data: Uint8Array; eof: boolean },
    signal: AbortSignal,
  ): Promise<{ acceptedOffset: number }> {
    // One at a time, so that offsets mean what they say.
    const result = this.#writing.then(() => this.#writeInput(input, signal));
    this.#writing = result.catch(() => undefined); // told to its own caller
    return result;
  }

  resize(columns: number, rows: number): Promise<void> {
    return this.#control('resize', (work) => {
      if (!work.resize) throw unsupported('takes no size');
      work.resize(columns, rows);
      void this.deps.executionLog.append({ $case: 'resized', value: { columns, rows } });
    });
  }

  answerInput(requestSequence: number, value: string): Promise<void> {
    return this.#control('answer', (work) => {
      if (!work.answerInput) throw unsupported('asks for no input');
      const request = this.#openInputs.get(requestSequence);
      if (request === 'answered')
        throw new StatusError('INPUT_ANSWERED', `input request ${requestSequence} was answered before`);
      if (!request)
        throw new StatusError('INVALID_ARGUMENT', `request_sequence: no input request has number ${requestSequence}`, {
          details: { field: 'request_sequence' },
        });
      this.#openInputs.set(requestSequence, 'answered');
      work.answerInput(requestSequence, value);
    });
  }

  signal(name: string, controlId: string): Promise<void> {
    return this.#control(
      'signal',
      (work) => {
        if (!work.signal) throw unsupported('takes no signals');
        if (!isSignal(name))
          throw new StatusError('INVALID_ARGUMENT', `signal: no such signal: ${name}`, {
            details: { field: 'signal' },
          });
        work.signal(name);
      },
      controlId,
    );
  }

  /** A cell that waits has nothing to interrupt, and the running one is not meant. */
  async interrupt(controlId: string): Promise<void> {
    if (this.#phase === 'waiting') return this.controls.add('interrupt', controlId);
    return this.#control('interrupt', (work) => work.interrupt(), controlId);
  }

  cancel(controlId: string): void {
    if (this.controls.has('cancel', controlId)) return;
    this.controls.add('cancel', controlId);
    this.stop(Cause.CANCELLED);
  }

  async #begin(): Promise<Work | undefined> {
    try {
      const kind = await this.deps.kind();
      const work = await kind.begin(this.#handle());
      this.#work = work;
      if (this.#cause !== undefined) this.#stopWork(work, this.#over ? 0 : this.#graceMs);
      if (!this.#over) this.#phase = 'working';
      this.#resolveBegun();
      return work;
    } catch (error) {
      const known = StatusError.from(error);
      if (known.reason === 'INTERNAL')
        this.deps.log.error({ executionId: this.executionId, err: error }, 'work could not begin');
      const reason = known.reason === 'INTERNAL' ? known.message : `${known.reason}: ${known.message}`;
      this.#finish({ outcome: { $case: 'couldNotStart', value: { reason } } });
      return undefined;
    }
  }

  async #endOf(work: Work): Promise<WorkEnd | undefined> {
    try {
      return await work.ended;
    } catch (error) {
      this.deps.log.error({ executionId: this.executionId, err: error }, 'defect: the end of work was not told');
      return undefined;
    }
  }

  /** Work that fails to stop is left to be given up, and takes nothing else along. */
  #stopWork(work: Work, graceMs: number): void {
    try {
      work.stop(graceMs);
    } catch (error) {
      this.deps.log.error({ executionId: this.executionId, err: error }, 'defect: work could not be stopped');
    }
  }

  get #over(): boolean {
    return this.#phase === 'over';
  }

  #handle(): ExecutionHandle {
    const { executionLog } = this.deps;
    return {
      sessionId: this.sessionId,
      executionId: this.executionId,
      request: this.request,
      signal: this.#abort.signal,
      append: (event) => this.#append(event),
      output: (stream, bytes) => executionLog.output(stream, bytes),
      endIsNear: () => executionLog.endIsNear(),
      get lastSequence() {
        return executionLog.lastSequence;
      },
    };
  }

  #append(event: EventBody): Promise<void> | undefined {
    if (this.#over) return undefined;
    const room = this.deps.executionLog.append(event);
    if (event.$case === 'started') this.#onStarted(event.value);
    else if (event.$case === 'inputRequest') {
      this.#openInputs.set(this.deps.executionLog.lastSequence, 'open');
      if (this.#openInputs.size > REMEMBERED_INPUTS) this.#openInputs.delete(this.#openInputs.keys().next().value!);
    }
    return room;
  }

  #onStarted(started: Started): void {
    this.started = started;
    this.state = 'RUNNING';
    this.#queueTimer?.cancel();
    if (this.request.timeoutMs > 0)
      this.#deadlineTimer = this.deps.clock.setTimer(this.request.timeoutMs, () => this.stop(Cause.DEADLINE));
    this.deps.onChange();
  }

  #finish(end: WorkEnd): void {
    if (this.#over) return;
    this.#phase = 'over';
    for (const timer of [this.#queueTimer, this.#deadlineTimer, this.#abandonTimer]) timer?.cancel();
    this.owners.close();
    const cause = this.#causeOf(end);
    this.ended = {
      outcome: end.outcome,
      cause,
      // The kernel that the work left behind goes with its session.
      statePreserved: (end.statePreserved ?? false) && cause !== Cause.SESSION_ENDED && cause !== Cause.SHIP_STOPPED,
      detachedOutput: end.detachedOutput ?? false,
      endTime: new Date(this.deps.clock.wallMs()),
      executionCount: end.executionCount ?? 0,
    };
    this.state = 'ENDED';
    this.deps.executionLog.end(this.ended);
    this.#resolveBegun();
    this.#resolveDone(this.ended);
    this.deps.onChange();
  }

  #causeOf(end: WorkEnd): Cause {
    if (this.#cause !== undefined && !end.bySelf) return this.#cause;
    if (end.oom) return Cause.OOM;
    return end.kernelRestarted ? Cause.KERNEL_RESTARTED : Cause.NONE;
  }

  #whyNeverRun(): string {
    switch (this.#cause) {
      case Cause.DEADLINE:
        return `it waited in the queue for ${this.request.queueTimeoutMs} ms`;
      case Cause.KERNEL_RESTARTED:
        return 'the kernel was ended while it waited in the queue';
      case Cause.SESSION_ENDED:
        return 'the session ended while it waited in the queue';
      case Cause.SHIP_STOPPED:
        return 'the ship stopped while it waited in the queue';
      default:
        return 'cancelled while it waited in the queue';
    }
  }

  /** Does something to the work once; a repeat by id succeeds without doing it. */
  async #control(name: string, act: (work: Work) => void, controlId = ''): Promise<void> {
    if (this.controls.has(name, controlId)) return;
    const work = await this.#whenWorking();
    if (this.controls.has(name, controlId)) return; // came twice while it began
    act(work);
    this.controls.add(name, controlId);
  }

  /** The work, which may be about to begin. A cell that waits for others counts as not there yet. */
  async #whenWorking(): Promise<Work> {
    if (this.#phase === 'waiting') throw unsupported('has not started');
    if (this.#phase === 'beginning') await this.#begun;
    if (this.#over || !this.#work) throw endedError(this.executionId, this.ended);
    return this.#work;
  }

  async #writeInput(
    { offset, data, eof }: { offset?: number; data: Uint8Array; eof: boolean },
    signal: AbortSignal,
  ): Promise<{ acceptedOffset: number }> {
    const work = await this.#whenWorking();
    if (!work.writeInput) throw unsupported('takes no input');
    if (offset === undefined && this.request.work?.$case !== 'terminal')
      throw new StatusError('INVALID_ARGUMENT', 'offset: required for anything but terminals', {
        details: { field: 'offset' },
      });
    if (offset !== undefined && offset > this.#acceptedInput)
      throw new StatusError('INPUT_GAP', `input at ${offset}, but only ${this.#acceptedInput} bytes were accepted`, {
        details: { offset: this.#acceptedInput },
      });
    const wanted = data.subarray(offset === undefined ? 0 : this.#acceptedInput - offset);
    const fresh = wanted.subarray(0, MAX_INPUT_BYTES);
    if (this.#inputClosed && fresh.length > 0) throw unsupported('takes no more input: it was closed');

    const taken = fresh.length > 0 ? await this.#giveInput(work, fresh, signal) : 0;
    this.#acceptedInput += taken;
    if (eof && taken === wanted.length && !this.#inputClosed) {
      this.#inputClosed = true;
      work.endInput?.();
    }
    return { acceptedOffset: this.#acceptedInput };
  }

  /** Waits a moment where nothing fits, so that a caller who repeats does not spin. */
  async #giveInput(work: Work, data: Uint8Array, signal: AbortSignal): Promise<number> {
    const end = this.deps.clock.monotonicMs() + INPUT_WAIT_MS;
    for (;;) {
      const taken = work.writeInput!(data);
      if (taken > 0 || this.deps.clock.monotonicMs() >= end) return taken;
      await new Promise<void>((resolve) => this.deps.clock.setTimer(INPUT_RETRY_MS, resolve));
      signal.throwIfAborted();
      if (this.#over) throw endedError(this.executionId, this.ended);
    }
  }
}

/** A control that came too late; details carry the end. */
export function endedError(executionId: string, ended: Ended | undefined): StatusError {
  return new StatusError('EXECUTION_ENDED', `execution ${executionId} has ended`, {
    details: ended ? { end: Ended.toJSON(ended) as object } : {},
  });
}

/** A word of every outcome, for logs. */
export function outcomeName(outcome: Outcome | undefined): string {
  return outcome?.$case ?? 'unknown';
}

function unsupported(why: string): StatusError {
  return new StatusError('CONTROL_UNSUPPORTED', `the execution ${why}`);
}

function isSignal(name: string): name is NodeJS.Signals {
  return name in constants.signals;
}
