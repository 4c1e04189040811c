import type { Chunk } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { type Ended, type ExecutionEvent } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { Cancellation } from '../../../proto/rpc/cancellation.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Clock, Timer } from './clock.js';
import { encodeEvent, encodeOutput, sequenceOf } from './event-encoding.js';
import type { EventBody } from './execution.js';
import { splitLarge } from './large-events.js';
import { PACKED_LOG_BYTES, type LogStore, type PackLocation } from './log-store.js';
import { OutputCoalescer, type OutputStream } from './output-coalescer.js';
import type { SegmentedLog, StoredBatch, StoredEvents, StoredPosition } from './segmented-log.js';

/** What may wait for the disk, and so be lost in a crash of the agent, before the work has to. */
const UNWRITTEN_BYTES = 256 * 1024;
/** What a log keeps in memory: its newest events, for readers that keep up. Going to disk for them costs twice the work. */
export const MEMORY_BYTES = 1024 * 1024;

/** Numbers are reserved on disk in blocks of this size before they are given. */
export const RESERVED_BLOCK = 4096;

/** Unwritten bytes that are written without waiting for more. */
const WRITE_BYTES = 128 * 1024;
/** How long events may wait for the disk: what a crash of the agent can cost. */
const WRITE_DELAY_MS = 50;
/** How long readers may wait for what comes before an end that is near. */
const NEAR_END_MS = 5;
/** How long readers may wait for `queued` and `started` of work that may be over in a moment, to get it all at once. */
const BEGINNING_MS = 5;

/** UTF-8 bytes of could_not_start.reason. */
export const MAX_REASON_BYTES = 200;

export interface ReadOptions {
  /** Fail with LOG_TRUNCATED rather than deliver `truncated`. */
  readonly strict?: boolean;
  /** Ends the read with its reason. */
  readonly signal?: Cancellation;
}

/** What the index must hold before anybody sees the end. */
export interface LogEnd {
  readonly sequence: number;
  /** The encoded `ended` event. */
  readonly event: Buffer;
  /** Bytes of all events. */
  readonly bytes: number;
  /** Where the log was packed; undefined where it has files of its own. */
  readonly location: PackLocation | undefined;
}

export interface LogDeps {
  readonly store: LogStore;
  readonly clock: Clock;
  /** Called before a number beyond the last reservation is given; on disk when it returns. */
  reserve(through: number): void;
  /** Called with the end before readers see it; on disk when it returns. */
  recordEnd(end: LogEnd): void;
}

/**
 * The numbered log of one execution while the agent lives: appended to by its work, read by any number of cursors, each at
 * its own pace. A reader that keeps up receives the very buffers that were appended, a slow one reads from disk; neither
 * slows the work, which waits for nothing but the disk.
 */
export class ExecutionLog {
  readonly #coalescer: OutputCoalescer;
  readonly #acceptedMs: number;
  /** Events from #windowFirst on, without gaps. */
  #window: Buffer[] = [];
  #windowFirst: number;
  #windowBytes = 0;
  #bytesBeforeWindow = 0;
  #nextSequence: number;
  #reserved: number;
  /** Events at the end of the window that are not on disk; some may be on their way. */
  #unwritten = 0;
  #unwrittenBytes = 0;
  #files: SegmentedLog | undefined;
  #stored: StoredEvents | undefined;
  #writing = false;
  #writeTimer: Timer | undefined;
  #roomWaiters: (() => void)[] = [];
  readonly #readers = new Set<() => void>();
  /** While it runs readers wait for what is about to come. */
  #held: { readonly until: 'begun' | 'ended'; readonly timer: Timer } | undefined;
  #endSequence: number | undefined;
  #settle: () => void = () => undefined;
  /** Resolves after the end, once everything is on disk (or lost, where there is no room). */
  readonly settled: Promise<void>;

  constructor(
    private readonly key: number,
    private readonly deps: LogDeps,
    firstSequence = 1,
  ) {
    this.#acceptedMs = deps.clock.monotonicMs();
    this.#nextSequence = firstSequence;
    this.#windowFirst = firstSequence;
    this.#reserved = firstSequence - 1 + RESERVED_BLOCK;
    this.#coalescer = new OutputCoalescer(deps.clock, (stream, bytes, isText) => {
      this.#begun();
      this.#push(encodeOutput(this.#takeSequence(), this.#elapsedUs(), stream, bytes, isText));
    });
    this.settled = new Promise((resolve) => (this.#settle = resolve));
  }

  /** A log that ended before, as the index and the files hold it. */
  static ofEnded(key: number, deps: LogDeps, end: LogEnd): ExecutionLog {
    const log = new ExecutionLog(key, deps, end.sequence);
    log.#window = [end.event];
    log.#windowBytes = end.event.length;
    log.#bytesBeforeWindow = Math.max(0, end.bytes - end.event.length);
    log.#nextSequence = end.sequence + 1;
    log.#endSequence = end.sequence;
    log.#stored = deps.store.storedEvents(key, end.location);
    log.#settle();
    return log;
  }

  get lastSequence(): number {
    return this.#nextSequence - 1;
  }

  /** The first number that a reader still gets as an event. */
  get oldestSequence(): number {
    return Math.min(this.#stored?.firstStored ?? Infinity, this.#windowFirst);
  }

  /** Bytes of all events so far. */
  get bytes(): number {
    return this.#bytesBeforeWindow + this.#windowBytes;
  }

  get memoryBytes(): number {
    return this.#windowBytes;
  }

  get ended(): boolean {
    return this.#endSequence !== undefined;
  }

  /** Appends an event after all output so far. A promise asks the caller to wait for the disk. */
  append(event: EventBody): Promise<void> | undefined {
    if (this.ended) return undefined;
    if (event.$case === 'stdout' || event.$case === 'stderr' || event.$case === 'pty')
      return this.output(event.$case, bytesOf(event.value));
    this.#coalescer.flush();
    if (event.$case !== 'started') this.#begun();
    for (const part of splitLarge(event)) this.#pushEvent(part);
    return this.#room();
  }

  /**
   * `queued`, which is the log's own.
   *
   * @param isShort whether the work may be over in a moment: each time a reader is woken takes as long as a small cell
   */
  appendQueued(ahead: number, createTime: Date, isShort = false): void {
    if (isShort) this.#hold('begun', BEGINNING_MS);
    this.#pushEvent({ $case: 'queued', value: { ahead, createTime } });
  }

  output(stream: OutputStream, bytes: Uint8Array): Promise<void> | undefined {
    if (this.ended) return undefined;
    this.#coalescer.push(stream, bytes);
    return this.#room();
  }

  /** The last event is a moment away: readers get what comes before it along with it, which wakes each of them once less. */
  endIsNear(): void {
    if (!this.ended) this.#hold('ended', NEAR_END_MS);
  }

  #hold(until: 'begun' | 'ended', ms: number): void {
    if (this.#held?.until === until) return;
    this.#letGo();
    const timer = this.deps.clock.setTimer(ms, () => {
      this.#letGo();
      this.#wakeReaders();
    });
    this.#held = { until, timer };
  }

  #letGo(): void {
    this.#held?.timer.cancel();
    this.#held = undefined;
  }

  /** There is more to tell than that it was started. */
  #begun(): void {
    if (this.#held?.until === 'begun') this.#letGo();
  }

  /** Appends the last event. Only the first call counts. */
  end(given: Ended): void {
    if (this.ended) return;
    this.#letGo();
    const ended = withShortReason(given);
    this.#coalescer.end();
    const sequence = this.#takeSequence();
    const event = encodeEvent(sequence, this.#elapsedUs(), { $case: 'ended', value: ended });
    this.#endSequence = sequence;
    this.#writeTimer?.cancel();

    const fits = !this.#files && this.bytes + event.length <= PACKED_LOG_BYTES;
    const packed = fits ? this.deps.store.packEnded([...this.#window, event]) : undefined;
    this.deps.recordEnd({ sequence, event, bytes: this.bytes + event.length, location: packed?.location });
    this.#keep(event);
    if (packed) {
      this.#stored = this.deps.store.storedEvents(this.key, packed.location);
      void packed.written.then(() => {
        this.#written(this.#unwritten, this.#unwrittenBytes);
        this.#settle();
      });
    } else this.#write();
    this.#wakeReaders();
  }

  /** Gives the memory of a settled log back. */
  release(): void {
    this.#windowFirst = this.#nextSequence - 1; // `ended` stays, so that nobody misses it whatever the disk does
    const ended = this.#window.at(-1)!;
    this.#bytesBeforeWindow = this.bytes - ended.length;
    this.#window = [ended];
    this.#windowBytes = ended.length;
  }

  /**
   * The events from a number on, encoded: past ones, then as they happen; ends after `ended`. Where events are gone it
   * yields one `truncated` in their place.
   *
   * @throws StatusError LOG_TRUNCATED with `strict`; the signal's reason
   */
  async *read(from: number, options: ReadOptions = {}): AsyncGenerator<Buffer, void, undefined> {
    const { signal, strict } = options;
    const reader: { wake: () => void } = { wake: () => undefined };
    const onAbort = (): void => reader.wake();
    signal?.addEventListener('abort', onAbort);
    try {
      let next = Math.max(from, 1);
      let bytesBefore = next === 1 ? 0 : undefined;
      let position: StoredPosition | undefined;
      /** The batch after the one that is being delivered. */
      let ahead: Promise<StoredBatch | undefined> | undefined;
      for (;;) {
        signal?.throwIfAborted();
        if (next > this.lastSequence || this.#held) {
          if (this.ended) return;
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
            this.#readers.add(resolve);
            if (signal?.aborted) resolve();
          }).finally(() => this.#readers.delete(reader.wake));
          continue;
        }
        if (next >= this.#windowFirst) {
          bytesBefore ??= this.#bytesUpTo(next);
          const event = this.#window[next - this.#windowFirst]!;
          bytesBefore += event.length;
          next++;
          position = undefined;
          yield event;
          continue;
        }

        const batch = await (ahead ?? this.#stored?.readFrom(next, position));
        ahead = undefined;
        signal?.throwIfAborted();
        const available = batch ? sequenceOf(batch.events[0]!) : this.#windowFirst;
        if (available > next) {
          if (strict) throw truncatedError(next, available);
          const gap = bytesBefore === undefined ? 0 : (batch?.bytesBefore ?? this.#bytesBeforeWindow) - bytesBefore;
          yield encodeTruncated(next, available - 1, Math.max(0, gap));
          next = available;
          bytesBefore = batch?.bytesBefore ?? this.#bytesBeforeWindow;
        }
        if (!batch) continue;
        next = sequenceOf(batch.events.at(-1)!) + 1;
        bytesBefore = batch.next.bytesBefore;
        position = batch.next;
        if (next < this.#windowFirst) {
          ahead = this.#stored?.readFrom(next, position);
          ahead?.catch(() => undefined); // told where it is awaited, which a reader that leaves never does
        }
        for (const event of batch.events) {
          yield event;
          signal?.throwIfAborted();
        }
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #takeSequence(): number {
    const sequence = this.#nextSequence++;
    if (sequence > this.#reserved) {
      this.#reserved += RESERVED_BLOCK;
      this.deps.reserve(this.#reserved);
    }
    return sequence;
  }

  #elapsedUs(): number {
    return Math.round((this.deps.clock.monotonicMs() - this.#acceptedMs) * 1000);
  }

  #pushEvent(event: ExecutionEvent['event']): void {
    this.#push(encodeEvent(this.#takeSequence(), this.#elapsedUs(), event));
  }

  #push(event: Buffer): void {
    this.#keep(event);
    if (this.#unwrittenBytes >= WRITE_BYTES) this.#write();
    else if (!this.#writing) this.#writeTimer ??= this.deps.clock.setTimer(WRITE_DELAY_MS, () => this.#write());
    this.#wakeReaders();
  }

  #keep(event: Buffer): void {
    this.#window.push(event);
    this.#windowBytes += event.length;
    this.#unwritten++;
    this.#unwrittenBytes += event.length;
  }

  #wakeReaders(): void {
    if (this.#readers.size === 0 || this.#held) return;
    const waiting = [...this.#readers];
    this.#readers.clear();
    for (const wake of waiting) wake();
  }

  /** Bytes of all events before one of the window. */
  #bytesUpTo(sequence: number): number {
    let bytes = this.#bytesBeforeWindow;
    for (let at = 0; at < sequence - this.#windowFirst; at++) bytes += this.#window[at]!.length;
    return bytes;
  }

  #room(): Promise<void> | undefined {
    if (this.#unwrittenBytes <= UNWRITTEN_BYTES) return undefined;
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  #write(): void {
    this.#writeTimer?.cancel();
    this.#writeTimer = undefined;
    if (this.#writing) return;
    if (this.#unwritten === 0) {
      if (this.ended) this.#finish();
      return;
    }
    this.#writing = true;
    this.#files ??= this.deps.store.createLog(this.key);
    this.#stored = this.#files;
    const events = this.#window.slice(this.#window.length - this.#unwritten);
    const bytes = this.#unwrittenBytes;
    void this.deps.store.write(this.#files, events, this.bytes - bytes).then(() => {
      this.#writing = false;
      this.#written(events.length, bytes);
      if (this.ended || this.#unwrittenBytes >= WRITE_BYTES) this.#write();
      else if (this.#unwritten > 0) this.#writeTimer ??= this.deps.clock.setTimer(WRITE_DELAY_MS, () => this.#write());
    });
  }

  #finish(): void {
    if (this.#files) this.deps.store.setEnded(this.#files);
    this.#settle();
  }

  /** Events are on disk, or were given up for want of room: in either case memory need not hold them. */
  #written(count: number, bytes: number): void {
    this.#unwritten -= count;
    this.#unwrittenBytes -= bytes;
    const free = this.#window.length - Math.max(this.#unwritten, 1);
    let given = 0;
    while (this.#windowBytes > MEMORY_BYTES && given < free) {
      const size = this.#window[given++]!.length;
      this.#windowBytes -= size;
      this.#bytesBeforeWindow += size;
    }
    if (given > 0) this.#window = this.#window.slice(given);
    this.#windowFirst += given;
    if (this.#unwrittenBytes <= UNWRITTEN_BYTES / 2) for (const resume of this.#roomWaiters.splice(0)) resume();
  }
}

/** A cursor's stand-in for what is gone; numbered as the last of it. */
export function encodeTruncated(first: number, last: number, bytes: number): Buffer {
  return encodeEvent(last, 0, { $case: 'truncated', value: { first, last, bytes } });
}

export function truncatedError(wanted: number, oldest: number): StatusError {
  return new StatusError('LOG_TRUNCATED', `event ${wanted} is no longer kept, the oldest is ${oldest}`, {
    details: { oldest_sequence: oldest },
  });
}

/** The end lies in the index too, where it has a fixed place. */
function withShortReason(ended: Ended): Ended {
  if (ended.outcome?.$case !== 'couldNotStart') return ended;
  const reason = Buffer.from(ended.outcome.value.reason);
  if (reason.length <= MAX_REASON_BYTES) return ended;
  const cut = reason
    .subarray(0, MAX_REASON_BYTES - 4)
    .toString()
    .replace(/\ufffd+$/, '');
  return { ...ended, outcome: { $case: 'couldNotStart', value: { reason: `${cut}…` } } };
}

function bytesOf(chunk: Chunk): Uint8Array {
  if (chunk.content === undefined) return Buffer.alloc(0);
  return chunk.content.$case === 'text' ? Buffer.from(chunk.content.value) : chunk.content.value;
}
