import {
  Cause,
  ExecutionKind,
  ExecutionState,
  Started,
  type Execution,
  type StartExecutionRequest,
} from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { WatchedExecution } from '../../../proto/gen/shipyard/ship/v1/ship.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Log } from '../part-deps.js';
import { COMMAND_IN_MEMORY, commandOf, kindOf, shorten } from './asked-work.js';
import { CellQueue } from './cell-queue.js';
import type { Clock } from './clock.js';
import { patient, realDisk, type Disk } from './disk.js';
import { EndedEntries } from './ended-entries.js';
import { endOf, expiredError, newEntry, stateOf, toWatched, type Entry } from './entry.js';
import type { BackgroundSink, WorkKind } from './execution.js';
import { BACKGROUND_ID, isExecutionId, makeExecutionId } from './execution-id.js';
import {
  ExecutionIndex,
  type AcceptedExecution,
  type IndexSlot,
  type RecordedEnd,
  type RecoveredExecution,
} from './execution-index.js';
import { ExecutionLog, type LogDeps, type LogEnd, type ReadOptions } from './execution-log.js';
import { endedError, ExecutionTask, STOP_GRACE_MS } from './execution-task.js';
import { LogStore } from './log-store.js';
import { requestDigest } from './request-digest.js';
import { unseenEnd } from './unseen-end.js';

/** Executions that one list answers, the newest. */
export const MAX_LISTED = 1000;

export interface RegistryDeps {
  /** The agent's own folder; outlives the incarnation. */
  readonly stateDir: string;
  readonly incarnation: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly executionMaxBytes: number;
  readonly shipMaxBytes: number;
  /** Refuses new work that cannot be done whatever happens, by throwing a StatusError; asked before it is accepted. */
  admit?(request: StartExecutionRequest): void;
  /** The work behind each kind; asked for on first use. */
  kind(kind: 'CELL' | 'COMMAND' | 'TERMINAL'): Promise<WorkKind>;
  readonly disk?: Disk;
  /** Told of bytes in buffers that passed through logs. */
  readonly onPassed?: (bytes: number) => void;
}

interface SessionEntries {
  readonly entries: Map<string, Entry>;
  readonly queue: CellQueue;
  /** Whether output that belongs to no execution is taken. */
  open: boolean;
}

/**
 * Every execution of the ship: which ids are known, what they ask, how they ended, and where their logs are. What was
 * accepted is on disk before its work starts, so that nothing runs twice, whoever dies in between.
 */
export class ExecutionRegistry {
  readonly #deps: RegistryDeps;
  readonly #index: ExecutionIndex;
  readonly #store: LogStore;
  readonly #ended: EndedEntries;
  readonly #sessions = new Map<string, SessionEntries>();
  #nextKey = 1;
  #lastStartMs = -Infinity;
  #stopping = false;
  readonly #live = new Set<Entry>();
  readonly #listeners = new Set<(execution: WatchedExecution) => void>();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
    const disk = patient(deps.disk ?? realDisk, deps.log);
    this.#index = new ExecutionIndex(`${deps.stateDir}/executions`, disk);
    this.#store = new LogStore(`${deps.stateDir}/executions/logs`, disk, deps.clock, deps.log, {
      executionMaxBytes: deps.executionMaxBytes,
      shipMaxBytes: deps.shipMaxBytes,
      ...(deps.onPassed ? { onPassed: deps.onPassed } : {}),
    });
    this.#ended = new EndedEntries({
      store: this.#store,
      index: this.#index,
      clock: deps.clock,
      liveCount: () => this.#live.size,
      onForget: (entry) => this.#onForget(entry),
    });
  }

  /** Takes over what an earlier incarnation left; to be called once, before anything else. */
  open(): void {
    this.#store.open();
    this.#ended.open(this.#index.open().map((each) => this.#recover(each)));
  }

  /** Lets a session's late output in. */
  openSession(sessionId: string): void {
    this.#session(sessionId).open = true;
  }

  /**
   * Starts the work, or finds the execution that has this id and asks the same. What is new is on disk when it returns.
   *
   * @throws StatusError EXECUTION_ID_REUSED, EXECUTION_LOG_EXPIRED, SESSION_QUEUE_FULL, DISK_FULL, SHUTTING_DOWN
   */
  async start(request: StartExecutionRequest): Promise<Entry> {
    const digest = requestDigest(request).toString('base64');
    this.#lastStartMs = this.#deps.clock.monotonicMs();
    for (;;) {
      try {
        return this.#findOrStart(request, digest);
      } catch (error) {
        if (StatusError.from(error).reason !== 'DISK_FULL' || !(await this.#store.dropOldestEnded())) throw error;
      }
    }
  }

  /**
   * @param fromSequence tells one `background` from the next where a session came back
   * @throws StatusError EXECUTION_NOT_FOUND
   */
  find(sessionId: string, executionId: string, fromSequence = 0): Entry {
    const session = this.#sessions.get(sessionId);
    let entry = session?.entries.get(executionId);
    if (executionId === BACKGROUND_ID && session?.open) {
      if (!entry || (entry.end && fromSequence > entry.end.sequence)) entry = this.#openBackground(sessionId) ?? entry;
      while (entry?.previous && !entry.previous.logExpired && fromSequence <= entry.previous.end!.sequence)
        entry = entry.previous;
    }
    if (!entry)
      throw new StatusError('EXECUTION_NOT_FOUND', `no execution ${executionId} in this session`, {
        details: { execution_id: executionId },
      });
    return entry;
  }

  /**
   * The events from a number on, encoded; ends after `ended`.
   *
   * @throws StatusError EXECUTION_LOG_EXPIRED, LOG_TRUNCATED
   */
  read(entry: Entry, fromSequence: number, options: ReadOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    return this.#logOf(entry).read(fromSequence, options);
  }

  /** The task of an execution that is to be controlled. @throws StatusError EXECUTION_NOT_FOUND, EXECUTION_ENDED */
  task(sessionId: string, executionId: string): ExecutionTask {
    const entry = this.find(sessionId, executionId);
    if (entry.task) return entry.task;
    if (entry.end) throw endedError(executionId, endOf(entry));
    throw new StatusError('CONTROL_UNSUPPORTED', `execution ${executionId} takes no controls`);
  }

  /** Whether a control was taken before the end. */
  wasTaken(entry: Entry, control: string, controlId: string): boolean {
    return entry.controls?.has(control, controlId) ?? false;
  }

  async describe(entry: Entry): Promise<Execution> {
    const { accepted, end, task, log } = entry;
    const started = task?.started ?? (end && end.started.length > 0 ? Started.decode(end.started) : undefined);
    const kept = entry.logExpired ? undefined : (log ?? this.#logOf(entry));
    return {
      executionId: accepted.executionId,
      kind: ExecutionKind[accepted.kind],
      state: stateOf(entry),
      lastSequence: end?.sequence ?? log?.lastSequence ?? 0,
      oldestSequence: kept?.oldestSequence ?? end?.sequence ?? 0,
      createTime: new Date(accepted.createMs),
      ended: end && endOf(entry),
      started,
      command:
        end && accepted.command.length >= COMMAND_IN_MEMORY
          ? ((await this.#index.readAccepted(entry.slot))?.command ?? accepted.command)
          : accepted.command,
      background: accepted.background,
      logBytes: end?.bytes ?? log?.bytes ?? 0,
    };
  }

  /** Oldest first; the newest 1000 of what the filter lets through. */
  list(
    sessionId: string,
    filter: { kind: ExecutionKind; state: ExecutionState; backgroundOnly: boolean },
  ): Promise<Execution[]> {
    const all = [...(this.#sessions.get(sessionId)?.entries.values() ?? [])].filter(
      (entry) =>
        (filter.kind === ExecutionKind.UNSPECIFIED || filter.kind === ExecutionKind[entry.accepted.kind]) &&
        (filter.state === ExecutionState.UNSPECIFIED || filter.state === stateOf(entry)) &&
        (!filter.backgroundOnly || entry.accepted.background),
    );
    return Promise.all(all.slice(-MAX_LISTED).map((entry) => this.describe(entry)));
  }

  /** Where output goes that belongs to no execution; it is dropped once the session has ended. */
  background(sessionId: string): BackgroundSink {
    const log = (): ExecutionLog | undefined => {
      const session = this.#sessions.get(sessionId);
      return session?.open && !this.#stopping ? this.#openBackground(sessionId)?.log : undefined;
    };
    return {
      append: (event) => log()?.append(event),
      output: (stream, bytes) => log()?.output(stream, bytes),
    };
  }

  /** Ends the cells of a session that wait for its kernel, for it is about to go. */
  endQueuedCells(sessionId: string, cause: Cause): void {
    for (const entry of this.#unfinished(sessionId))
      if (entry.accepted.kind === 'CELL' && entry.task?.waiting) entry.task.stop(cause);
  }

  /** Ends everything of a session; resolves when all of it has ended. Safe to repeat. */
  async endSession(sessionId: string, cause: Cause = Cause.SESSION_ENDED, graceMs = STOP_GRACE_MS): Promise<void> {
    const session = this.#sessions.get(sessionId);
    if (!session) return;
    session.open = false;
    // Queued cells first: the end of the running one would let the next begin.
    this.endQueuedCells(sessionId, cause);
    const tasks = this.#unfinished(sessionId).flatMap((entry) => entry.task ?? []);
    for (const task of tasks) task.stop(cause, graceMs);
    await Promise.all(tasks.map((task) => task.done));
    this.#closeBackground(session, cause);
  }

  /** Ends everything, and closes the logs. Nothing starts afterwards. */
  async close(graceMs = STOP_GRACE_MS): Promise<void> {
    this.#stopping = true;
    this.#ended.close();
    await Promise.all([...this.#sessions.keys()].map((id) => this.endSession(id, Cause.SHIP_STOPPED, graceMs)));
    await Promise.all([this.#store.flush(), ...this.#settling]);
    await this.#store.close();
    this.#index.close();
  }

  /** Executions that have not ended, `background` left out. */
  unfinished(): WatchedExecution[] {
    return [...this.#live].filter((entry) => entry.task).map(toWatched);
  }

  /** How long ago work was asked for, in milliseconds. */
  get quietMs(): number {
    return this.#deps.clock.monotonicMs() - this.#lastStartMs;
  }

  /** Calls at every change of state; returns the function that ends it. */
  onChange(listener: (execution: WatchedExecution) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Gives up what was kept long enough; happens by itself twice a minute. */
  sweep(): Promise<void> {
    return this.#ended.sweep();
  }

  readonly #settling = new Set<Promise<void>>();

  #findOrStart(request: StartExecutionRequest, digest: string): Entry {
    const session = this.#session(request.sessionId);
    const known = request.executionId === '' ? undefined : session.entries.get(request.executionId);
    if (known) {
      if (known.accepted.digest !== digest)
        throw new StatusError(
          'EXECUTION_ID_REUSED',
          `execution ${request.executionId} was started with another request`,
          {
            details: { execution_id: request.executionId },
          },
        );
      if (known.logExpired) throw expiredError(request.executionId);
      return known;
    }
    if (this.#stopping) throw new StatusError('SHUTTING_DOWN', 'the ship is stopping');
    if (request.work?.$case === 'cell' && session.queue.full)
      throw new StatusError('SESSION_QUEUE_FULL', 'the session has 256 cells waiting', {
        details: { max_waiting: 256 },
      });
    this.#deps.admit?.(request);
    return this.#accept(session, request, digest);
  }

  #accept(session: SessionEntries, request: StartExecutionRequest, digest: string): Entry {
    const kind = kindOf(request);
    const { clock } = this.#deps;
    const executionId = request.executionId || makeExecutionId(clock.wallMs());
    if (!isExecutionId(executionId)) throw new Error(`not an execution id: ${executionId}`);
    const ahead = kind === 'CELL' ? session.queue.ahead : 0;
    const entry = this.#record(session, {
      executionId,
      digest,
      kind,
      sessionId: request.sessionId,
      background: request.work?.$case === 'command' && request.work.value.background,
      command: commandOf(request),
      firstSequence: 1,
    });
    const log = entry.log!;
    const task: ExecutionTask = new ExecutionTask(request.sessionId, executionId, request, {
      clock,
      log: this.#deps.log,
      executionLog: log,
      kind: () => this.#deps.kind(kind),
      leaveQueue: () => session.queue.remove(task),
      onChange: () => this.#tell(entry),
    });
    entry.task = task;
    log.appendQueued(ahead, new Date(entry.accepted.createMs), kind === 'CELL' && ahead === 0);
    this.#tell(entry);
    if (kind === 'CELL') session.queue.add(task);
    else void task.run();
    return entry;
  }

  /** Puts an execution on disk and into the registry. */
  #record(session: SessionEntries, what: Omit<AcceptedExecution, 'key' | 'incarnation' | 'createMs'>): Entry {
    const accepted: AcceptedExecution = {
      ...what,
      key: this.#nextKey,
      incarnation: this.#deps.incarnation,
      createMs: this.#deps.clock.wallMs(),
    };
    const slot = this.#index.accept(accepted);
    this.#nextKey++;
    const entry = newEntry(accepted, slot);
    entry.log = new ExecutionLog(accepted.key, this.#logDeps(entry), accepted.firstSequence);
    session.entries.set(accepted.executionId, entry);
    this.#live.add(entry);
    return entry;
  }

  /** The session's live `background`, made where there is none; undefined where it cannot be recorded. */
  #openBackground(sessionId: string): Entry | undefined {
    const session = this.#session(sessionId);
    const last = session.entries.get(BACKGROUND_ID);
    if (last && !last.end) return last;
    try {
      session.entries.delete(BACKGROUND_ID);
      const entry = this.#record(session, {
        sessionId,
        executionId: BACKGROUND_ID,
        digest: '',
        kind: 'BACKGROUND',
        background: false,
        command: '',
        firstSequence: (last?.end?.sequence ?? 0) + 1,
      });
      entry.previous = last;
      return entry;
    } catch (error) {
      if (last) session.entries.set(BACKGROUND_ID, last);
      this.#deps.log.warn({ err: error }, 'output after the end is lost: its log cannot be recorded');
      return undefined;
    }
  }

  #closeBackground(session: SessionEntries, cause: Cause): void {
    const entry = session.entries.get(BACKGROUND_ID);
    if (entry?.end) return;
    entry?.log?.end({
      outcome: { $case: 'completed', value: {} },
      cause,
      statePreserved: false,
      detachedOutput: false,
      endTime: new Date(this.#deps.clock.wallMs()),
      executionCount: 0,
    });
  }

  #logDeps(entry: Entry): LogDeps {
    const { clock, log } = this.#deps;
    return {
      store: this.#store,
      clock,
      reserve: (through) => {
        try {
          this.#index.reserve(entry.slot, through);
        } catch (error) {
          log.error({ err: error }, 'numbers could not be reserved');
        }
      },
      recordEnd: (end) => this.#onEnd(entry, end),
    };
  }

  #onEnd(entry: Entry, logEnd: LogEnd): void {
    const { task } = entry;
    const started = task?.started ? Buffer.from(Started.encode(task.started).finish()) : Buffer.alloc(0);
    const end: RecordedEnd = { ...logEnd, endMs: this.#deps.clock.wallMs(), started };
    try {
      this.#index.recordEnd(entry.slot, end);
    } catch (error) {
      this.#deps.log.error({ err: error }, 'the end of an execution could not be recorded');
    }
    entry.end = end;
    entry.controls = task?.controls;
    this.#live.delete(entry);
    this.#ended.add(entry);
    const log = entry.log!;
    const settled: Promise<void> = log.settled.then(() => {
      this.#settling.delete(settled);
      this.#ended.keepRecent(entry, log);
    });
    this.#settling.add(settled);
    // The task goes with its request once everybody who waits for the end was told.
    void task?.done.then(() => (entry.task = undefined));
  }

  #logOf(entry: Entry): ExecutionLog {
    if (entry.logExpired) throw expiredError(entry.accepted.executionId);
    return entry.log ?? ExecutionLog.ofEnded(entry.accepted.key, this.#logDeps(entry), entry.end!);
  }

  #recover({ accepted, slot, reservedThrough, end }: RecoveredExecution): Entry {
    this.#nextKey = Math.max(this.#nextKey, accepted.key + 1);
    const session = this.#session(accepted.sessionId);
    const entry = newEntry(shorten(accepted), slot, end ?? this.#seal(accepted, slot, reservedThrough));
    entry.previous = session.entries.get(accepted.executionId);
    session.entries.delete(accepted.executionId); // so that the order is that of acceptance
    session.entries.set(accepted.executionId, entry);
    return entry;
  }

  #seal(accepted: AcceptedExecution, slot: IndexSlot, reservedThrough: number): RecordedEnd {
    const end = unseenEnd(accepted, reservedThrough, this.#deps.clock.wallMs());
    try {
      this.#index.recordEnd(slot, end);
    } catch (error) {
      this.#deps.log.error({ err: error }, 'an execution could not be sealed on disk'); // the next life seals it again
    }
    return end;
  }

  #onForget(entry: Entry): void {
    const { sessionId, executionId } = entry.accepted;
    const session = this.#sessions.get(sessionId);
    if (session?.entries.get(executionId) === entry) session.entries.delete(executionId);
    if (executionId === BACKGROUND_ID)
      for (let later = session?.entries.get(executionId); later; later = later.previous)
        if (later.previous === entry) later.previous = undefined;
    if (session && session.entries.size === 0 && !session.open) this.#sessions.delete(sessionId);
  }

  #session(sessionId: string): SessionEntries {
    let session = this.#sessions.get(sessionId);
    if (!session)
      this.#sessions.set(sessionId, (session = { entries: new Map(), queue: new CellQueue(), open: false }));
    return session;
  }

  #unfinished(sessionId: string): Entry[] {
    return [...this.#live].filter((entry) => entry.accepted.sessionId === sessionId);
  }

  #tell(entry: Entry): void {
    for (const listener of this.#listeners) listener(toWatched(entry));
  }
}
