import type { Log } from '../part-deps.js';
import type { Clock, Timer } from './clock.js';
import { errorCode, type Disk } from './disk.js';
import { sequenceOf } from './event-encoding.js';
import { parseRecords, toRecords } from './record-format.js';
import {
  findSegments,
  SegmentedLog,
  type StoredBatch,
  type StoredEvents,
  type StoredPosition,
} from './segmented-log.js';

export interface LogStoreOptions {
  /** Bytes of one execution's log; its head goes when there is more. */
  readonly executionMaxBytes: number;
  /** Bytes of all logs; ended ones go first, oldest first. */
  readonly shipMaxBytes: number;
  /** Told of bytes in buffers that were written or read, and are soon garbage. */
  readonly onPassed?: (bytes: number) => void;
}

/** Where a small ended log lies in a pack: kept in the index. */
export interface PackLocation {
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
}

/** What can be given up as a whole, in the order in which it ended. */
interface Unit {
  bytes: number;
  readonly drop: () => Promise<void>;
}

interface Pack {
  readonly number: number;
  readonly path: string;
  fd: number | undefined;
  /** Bytes placed, written or not. */
  size: number;
  /** Logs in it that are still kept. */
  live: number;
  sealed: boolean;
  /** A write is under way: the file must stay open. */
  writing: boolean;
}

const SEGMENT_BYTES = 8 * 1024 * 1024;
const PACK_BYTES = 1024 * 1024;
/** Ended logs up to this size that never needed a file of their own are packed. */
export const PACKED_LOG_BYTES = 64 * 1024;
/** How long a packed log may wait for company before it is written. */
const PACK_DELAY_MS = 20;

/**
 * The files of all logs, and their bounds. A running log has files of its own; small ended ones share packs, so that a
 * thousand short cells are a few files. A full disk is treated as a bound that was reached: what is oldest goes.
 */
export class LogStore {
  readonly #packs = new Map<number, Pack>();
  readonly #running = new Map<number, SegmentedLog>();
  readonly #ended = new Map<string, Unit>();
  #endedBytes = 0;
  readonly #endedLogs = new Map<number, SegmentedLog>();
  #recovered: Map<number, SegmentedLog> | undefined;
  #pack: Pack | undefined;
  #nextPack = 1;
  #queued: { pack: Pack; position: number; records: Buffer[]; written: () => void }[] = [];
  #packTimer: Timer | undefined;
  #packing: Promise<void> = Promise.resolve();
  #segmentBytes = 0;
  #fullSaidMs = -Infinity;

  private readonly disk: Disk;

  constructor(
    private readonly directory: string,
    disk: Disk,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly options: LogStoreOptions,
  ) {
    const passed = options.onPassed ?? (() => undefined);
    this.disk = {
      ...disk,
      write: async (fd, pieces, position) => {
        await disk.write(fd, pieces, position);
        passed(pieces.reduce((sum, piece) => sum + piece.length, 0));
      },
      read: async (path, position, length) => {
        passed(length);
        return disk.read(path, position, length);
      },
    };
    this.#segmentBytes = Math.max(4096, Math.min(SEGMENT_BYTES, Math.floor(options.executionMaxBytes / 8)));
  }

  /** Finds what an earlier incarnation left. */
  open(): void {
    this.disk.makeDirectory(this.directory);
    this.#recovered = new Map(
      [...findSegments(this.disk, this.directory)].map(([key, segments]) => [
        key,
        new SegmentedLog(key, this.disk, this.directory, this.#segmentBytes, segments),
      ]),
    );
    for (const { name, size } of this.disk.list(this.directory)) {
      const match = /^p([0-9a-z]+)\.log$/.exec(name);
      if (!match) continue;
      const number = Number.parseInt(match[1]!, 36);
      this.#packs.set(number, {
        number,
        path: `${this.directory}/${name}`,
        fd: undefined,
        size,
        live: 0,
        sealed: true,
        writing: false,
      });
      this.#nextPack = Math.max(this.#nextPack, number + 1);
    }
  }

  /** Takes the files of an ended execution over from an earlier incarnation; called in the order of the ends. */
  adoptEnded(key: number, location: PackLocation | undefined): void {
    const log = this.#recovered?.get(key);
    if (log) {
      this.#recovered?.delete(key);
      this.#setEnded(log);
    }
    const pack = location && this.#packs.get(location.pack);
    if (!pack) return;
    if (pack.live++ === 0) this.#addEnded(`p${pack.number}`, this.#packUnit(pack));
  }

  /** Removes files that no entry of the index names; to be called once everything was adopted. */
  async removeUnknown(): Promise<void> {
    const logs = [...(this.#recovered?.values() ?? [])];
    this.#recovered = undefined;
    const packs = [...this.#packs.values()].filter((pack) => pack.live === 0 && pack !== this.#pack);
    await Promise.all([...logs.map((log) => log.remove()), ...packs.map((pack) => this.#dropPack(pack))]);
    await this.#keepBounds();
  }

  /** Files for a log that runs. */
  createLog(key: number): SegmentedLog {
    const log = new SegmentedLog(key, this.disk, this.directory, this.#segmentBytes);
    this.#running.set(key, log);
    return log;
  }

  /** What is kept of an ended log. */
  storedEvents(key: number, location: PackLocation | undefined): StoredEvents {
    const unit = this.#endedLogs.get(key);
    if (unit) return unit;
    return {
      firstStored: location && this.#packs.has(location.pack) ? 1 : undefined,
      readFrom: (sequence, position) => this.#readPacked(location, sequence, position),
    };
  }

  /**
   * Writes events of a running log, making room as the bounds and the disk demand.
   *
   * @returns false where they could not be written at all; they are lost then
   */
  async write(log: SegmentedLog, events: readonly Buffer[], bytesBefore: number): Promise<boolean> {
    for (;;) {
      try {
        await log.write(events, bytesBefore);
        while (log.bytes > this.options.executionMaxBytes) {
          const { bytes, done } = log.dropHead();
          if (bytes === 0) break;
          await done;
        }
        await this.#keepBounds();
        return true;
      } catch (error) {
        this.#sayFull(error);
        if (!isFull(error) || !(await this.#makeRoom(log))) return false;
      }
    }
  }

  /** The log of an execution that ended: from now on it is among those that go first. */
  setEnded(log: SegmentedLog): void {
    this.#running.delete(log.key);
    this.#setEnded(log);
  }

  /**
   * Packs a whole ended log.
   *
   * @returns its place at once, and when it is written, or lost for want of room
   */
  packEnded(events: readonly Buffer[]): { location: PackLocation; written: Promise<void> } {
    const records = toRecords(events);
    const length = records.reduce((sum, piece) => sum + piece.length, 0);
    let pack = this.#pack;
    if (!pack || pack.size + length > PACK_BYTES) {
      if (pack) pack.sealed = true;
      const number = this.#nextPack++;
      pack = {
        number,
        path: `${this.directory}/p${number.toString(36)}.log`,
        fd: undefined,
        size: 0,
        live: 0,
        sealed: false,
        writing: false,
      };
      this.#pack = pack;
      this.#packs.set(number, pack);
      this.#addEnded(`p${number}`, this.#packUnit(pack));
    }
    const location = { pack: pack.number, offset: pack.size, length };
    pack.size += length;
    pack.live++;
    this.#growEnded(`p${pack.number}`, length);
    const target = pack;
    const written = new Promise<void>((resolve) =>
      this.#queued.push({ pack: target, position: location.offset, records, written: resolve }),
    );
    this.#packTimer ??= this.clock.setTimer(PACK_DELAY_MS, () => this.#writePacks());
    return { location, written };
  }

  /** Gives an ended log up: its time is over. */
  async forget(key: number, location: PackLocation | undefined): Promise<void> {
    const log = this.#endedLogs.get(key);
    if (log) {
      this.#takeEnded(`e${key}`);
      this.#endedLogs.delete(key);
      await log.remove();
    }
    const pack = location && this.#packs.get(location.pack);
    if (!pack || --pack.live > 0) return;
    this.#takeEnded(`p${pack.number}`);
    await this.#dropPack(pack);
  }

  /** Writes the packed logs that wait for company. */
  async flush(): Promise<void> {
    this.#writePacks();
    await this.#packing;
  }

  /** To be called at the end, when every log has settled. */
  async close(): Promise<void> {
    await this.flush();
    for (const log of this.#running.values()) log.close();
    for (const pack of this.#packs.values()) this.#closePack(pack);
  }

  /** Bytes of all files. */
  get bytes(): number {
    let sum = this.#endedBytes;
    for (const log of this.#running.values()) sum += log.bytes;
    return sum;
  }

  /** Gives the oldest ended unit up; false where there is none. For callers who need room on the same disk. */
  async dropOldestEnded(): Promise<boolean> {
    const oldest = this.#ended.keys().next();
    if (oldest.done) return false;
    await this.#takeEnded(oldest.value)?.drop();
    return true;
  }

  #addEnded(name: string, unit: Unit): void {
    this.#ended.set(name, unit);
    this.#endedBytes += unit.bytes;
  }

  #growEnded(name: string, bytes: number): void {
    const unit = this.#ended.get(name);
    if (!unit) return;
    unit.bytes += bytes;
    this.#endedBytes += bytes;
  }

  #takeEnded(name: string): Unit | undefined {
    const unit = this.#ended.get(name);
    if (!unit) return undefined;
    this.#ended.delete(name);
    this.#endedBytes -= unit.bytes;
    return unit;
  }

  #setEnded(log: SegmentedLog): void {
    log.close();
    this.#endedLogs.set(log.key, log);
    this.#addEnded(`e${log.key}`, {
      bytes: log.bytes,
      drop: async () => {
        this.#endedLogs.delete(log.key);
        await log.remove();
      },
    });
  }

  #packUnit(pack: Pack): Unit {
    return {
      bytes: pack.size,
      drop: () => this.#dropPack(pack),
    };
  }

  async #dropPack(pack: Pack): Promise<void> {
    if (pack === this.#pack) this.#pack = undefined;
    pack.sealed = true;
    this.#packs.delete(pack.number);
    this.#closePack(pack);
    await this.disk.remove(pack.path);
  }

  #closePack(pack: Pack): void {
    if (pack.fd === undefined || pack.writing) return;
    this.disk.close(pack.fd);
    pack.fd = undefined;
  }

  async #keepBounds(): Promise<void> {
    while (this.bytes > this.options.shipMaxBytes) {
      if (await this.dropOldestEnded()) continue;
      const head = this.#fattest()?.dropHead();
      if (!head || head.bytes === 0) return;
      await head.done;
    }
  }

  #fattest(): SegmentedLog | undefined {
    let fattest: SegmentedLog | undefined;
    for (const log of this.#running.values()) if (!fattest || log.bytes > fattest.bytes) fattest = log;
    return fattest;
  }

  async #makeRoom(log: SegmentedLog): Promise<boolean> {
    if (await this.dropOldestEnded()) return true;
    const { bytes, done } = log.dropHead({ evenTheLast: true });
    await done;
    return bytes > 0;
  }

  #writePacks(): void {
    this.#packTimer?.cancel();
    this.#packTimer = undefined;
    this.#packing = this.#packing.then(() => this.#writeQueued());
  }

  async #writeQueued(): Promise<void> {
    const queued = this.#queued;
    this.#queued = [];
    for (let at = 0; at < queued.length;) {
      const { pack, position } = queued[at]!;
      let count = 1;
      while (queued[at + count]?.pack === pack) count++;
      const run = queued.slice(at, at + count);
      await this.#writePack(
        pack,
        run.flatMap((entry) => entry.records),
        position,
      );
      for (const entry of run) entry.written();
      at += count;
    }
    for (const pack of this.#packs.values()) if (pack.sealed) this.#closePack(pack);
    await this.#keepBounds();
  }

  /** Where there is no room whatever is given up, the logs in it are lost: their readers are told so. */
  async #writePack(pack: Pack, records: Buffer[], position: number): Promise<void> {
    pack.writing = true;
    while (this.#packs.has(pack.number)) {
      try {
        pack.fd ??= this.disk.open(pack.path);
        await this.disk.write(pack.fd, records, position);
        break;
      } catch (error) {
        this.#sayFull(error);
        if (!isFull(error) || !(await this.dropOldestEnded())) break;
      }
    }
    pack.writing = false;
    if (!this.#packs.has(pack.number)) this.#closePack(pack);
  }

  async #readPacked(
    location: PackLocation | undefined,
    sequence: number,
    position: StoredPosition | undefined,
  ): Promise<StoredBatch | undefined> {
    const pack = location && this.#packs.get(location.pack);
    if (!pack || position) return undefined; // a packed log is read in one go
    const bytes = await this.disk.read(pack.path, location.offset, location.length).catch((error: unknown) => {
      if (this.#packs.has(pack.number) && errorCode(error) !== 'ENOENT') throw error;
      return Buffer.alloc(0);
    });
    const { events } = parseRecords(bytes);
    const at = events.findIndex((event) => sequenceOf(event) >= sequence);
    if (at < 0) return undefined;
    const bytesBefore = events.slice(0, at).reduce((sum, event) => sum + event.length, 0);
    const bytesAfter = events.slice(at).reduce((sum, event) => sum + event.length, bytesBefore);
    return {
      events: events.slice(at),
      bytesBefore,
      next: { segmentFirst: 0, offset: location.length, bytesBefore: bytesAfter },
    };
  }

  /** Once a minute. */
  #sayFull(error: unknown): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.#fullSaidMs < 60_000) return;
    this.#fullSaidMs = nowMs;
    this.log.warn({ code: errorCode(error), err: error }, 'execution logs cannot be written: the oldest are given up');
  }
}

/** Errors that giving old logs up may help against. */
function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EIO', 'EFBIG'].includes(errorCode(error));
}
