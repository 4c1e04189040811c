/**
 * The seam between the log of an execution and the work behind it. `executions/` owns names, logs, readers, queues and
 * deadlines; `python/`, `shell/` own the work and know nothing of those.
 */
import type {
  ExecutionEvent,
  Ended,
  Kernel,
  StartExecutionRequest,
} from '../../../proto/gen/shipyard/execution/v1/execution.js';

/** An event without its number, as work reports it. `queued`, `truncated` and `ended` are the log's own. */
export type EventBody = Exclude<NonNullable<ExecutionEvent['event']>, { $case: 'queued' | 'truncated' | 'ended' }>;

export type Outcome = NonNullable<Ended['outcome']>;

/** What work knows of its end. The log adds the cause: whoever asked for the stop, else NONE (or OOM, on evidence). */
export interface WorkEnd {
  readonly outcome: Outcome;
  /** Cells only. */
  readonly statePreserved?: boolean;
  readonly detachedOutput?: boolean;
  readonly executionCount?: number;
  /** Evidence from the operating system that memory ran out; becomes cause OOM. */
  readonly oom?: boolean;
  /** The kernel went away because somebody restarted or shut it down; becomes cause KERNEL_RESTARTED. */
  readonly kernelRestarted?: boolean;
  /** The work was over by itself before stop() was called: the cause is then not that of the stop. */
  readonly bySelf?: boolean;
}

/** What the registry hands to the work of one execution. */
export interface ExecutionHandle {
  readonly sessionId: string;
  readonly executionId: string;
  /** Validated. */
  readonly request: StartExecutionRequest;
  /**
   * Aborts when the work is to be stopped (cancel, deadline, end of session or ship). Only begin() needs it, to give up
   * early: it then resolves with a Work whose end says could_not_start. Once begin() has resolved, stop() says the same.
   */
  readonly signal: AbortSignal;
  /**
   * Appends to the log, in call order. A returned promise is back-pressure (the log has more than 256 KiB that the disk
   * has not taken): await it before producing more. Output chunks may be of any size; the log splits and coalesces them
   * and keeps `text` whole at characters. After the end it is ignored.
   */
  append(event: EventBody): Promise<void> | undefined;
  /** Raw output: the log turns it into Chunks (text where it is UTF-8, else data), holding back a split character. */
  output(stream: 'stdout' | 'stderr' | 'pty', bytes: Uint8Array): Promise<void> | undefined;
  /** What is appended from here on comes a moment before the end, and readers may get it along with that. */
  endIsNear(): void;
  /** Number of the last event appended, coalesced output included; `input_request` is named by it. */
  readonly lastSequence: number;
}

/** Work that has begun. */
export interface Work {
  /** Never rejects; resolves after everything that belongs to the work was appended. */
  readonly ended: Promise<WorkEnd>;
  /** SIGINT to the process group, or KeyboardInterrupt in the kernel. The work may go on. */
  interrupt(): void;
  /** Ends the work: gently now, and by force once graceMs have passed. `ended` resolves either way. */
  stop(graceMs: number): void;
  /** By name, to the whole process group; undefined where the kind takes no signals. */
  signal?(name: NodeJS.Signals): void;
  /** Takes what fits without waiting for the reader of stdin; returns the bytes taken. */
  writeInput?(data: Uint8Array): number;
  endInput?(): void;
  resize?(columns: number, rows: number): void;
  answerInput?(requestSequence: number, value: string): void;
}

/** Begins the work of one kind. Appends `started` itself, once the work is really there. */
export interface WorkKind {
  /** Rejects only for a defect; work that cannot start is a Work whose end says could_not_start. */
  begin(execution: ExecutionHandle): Promise<Work>;
}

/** Takes output that belongs to no running execution of the session; it goes to the execution `background`. */
export type BackgroundSink = Pick<ExecutionHandle, 'append' | 'output'>;

/**
 * The kernels of the ship's sessions, at most one each. Cells reach them through the WorkKind of cells, one at a time a
 * session; the queue in front is the registry's.
 */
export interface KernelService {
  /** The session's kernel, made where there is none; answers when it is ready. */
  start(sessionId: string): Promise<Kernel>;
  /** Starts a kernel ahead of the session's first cell. It is nobody's, in no list and without a generation, until a cell takes it. */
  prepare(sessionId: string): void;
  /** Ends what `prepare` started and no cell took. */
  dropPrepared(sessionId: string): void;
  /**
   * Ends the kernel (its running cell ends with WorkEnd.kernelRestarted) and answers when the next generation is ready.
   * Queued cells were ended by the caller; a cell that begins meanwhile waits for the new kernel. Makes one where there is none.
   */
  restart(sessionId: string): Promise<Kernel>;
  /** A snapshot. */
  get(sessionId: string): Kernel | undefined;
  /** Ends the kernel as restart does, without a next one; false where there was none. */
  shutdown(sessionId: string): Promise<boolean>;
  /** Snapshots of all. */
  list(): readonly Kernel[];
  /** Called when a session ends or the ship stops: its kernel is gone when this resolves. Safe to repeat. */
  endSession(sessionId: string): Promise<void>;
  /** Every change of a kernel's status or generation; returns the function that ends the subscription. */
  onChange(listener: (kernel: Kernel) => void): () => void;
}
