import { sequenceOf } from './event-encoding.js';
import { MAX_RECORD_BYTES, parseRecords, RECORD_HEADER_BYTES, toRecords } from './record-format.js';
import type { Disk } from './disk.js';

/** Events as they were read back. */
export interface StoredBatch {
  /** In order, at least one. */
  readonly events: readonly Buffer[];
  /** Bytes of all events before the first of these, gone ones included. */
  readonly bytesBefore: number;
  /** Where to read on; any other start is fine too, only slower. */
  readonly next: StoredPosition;
}

export interface StoredPosition {
  /** Number of the first event of the file. */
  readonly segmentFirst: number;
  readonly offset: number;
  readonly bytesBefore: number;
}

/** Events of one log, in files or in a part of one. */
export interface StoredEvents {
  /** About the oldest number that is kept; undefined where nothing is. */
  readonly firstStored: number | undefined;
  /** The first stored events from a number on; undefined where there are none. A gap shows in the first one's number. */
  readFrom(sequence: number, position?: StoredPosition): Promise<StoredBatch | undefined>;
}

interface Segment {
  readonly first: number;
  readonly bytesBefore: number;
  readonly path: string;
  /** Bytes that are written; the file may hold more while a write is under way, or after one that failed. */
  size: number;
  /** Every MARK_BYTES or so, where an event begins. */
  readonly marks: { sequence: number; offset: number; bytesBefore: number }[];
}

const MARK_BYTES = 256 * 1024;
/** Four full chunks of output with their headers; a larger record is read again, alone. */
const READ_BYTES = 260 * 1024;
const MIN_SEGMENT_BYTES = 1024 * 1024;

/** One execution's own files: for logs that outgrew memory, and for all that are running for longer than a moment. */
export class SegmentedLog implements StoredEvents {
  readonly #segments: Segment[];
  #fd: number | undefined;
  /** Resolves when the write that is under way is over. */
  #writing: Promise<void> | undefined;
  /** `bytesBefore` of the next event, unless some are lost in between. */
  #bytesAfter = -1;
  #bytes: number;

  constructor(
    readonly key: number,
    private readonly disk: Disk,
    private readonly directory: string,
    private readonly maxSegmentBytes: number,
    segments: Segment[] = [],
  ) {
    this.#segments = segments.sort((a, b) => a.first - b.first);
    this.#bytes = segments.reduce((sum, segment) => sum + segment.size, 0);
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  get firstStored(): number | undefined {
    return this.#segments[0]?.first;
  }

  /**
   * Appends events; one write at a time. Rejects with the operating system's error where they could not be written, and
   * then none of them is there.
   *
   * @param bytesBefore bytes of all events before these
   * @returns bytes the files have grown
   */
  async write(events: readonly Buffer[], bytesBefore: number): Promise<number> {
    const first = sequenceOf(events[0]!);
    let segment = this.#segments.at(-1);
    const goesOn = this.#fd !== undefined && this.#bytesAfter === bytesBefore;
    if (!segment || this.#fd === undefined || !goesOn || segment.size >= this.#segmentBytes()) {
      if (segment?.size === 0) await this.disk.remove(this.#segments.pop()!.path);
      this.close();
      segment = {
        first,
        bytesBefore,
        path: `${this.directory}/${segmentName(this.key, first, bytesBefore)}`,
        size: 0,
        marks: [],
      };
      this.#fd = this.disk.open(segment.path);
      this.#segments.push(segment);
      this.#bytesAfter = bytesBefore;
    }
    const fd = this.#fd;
    const start = segment.size;
    const write = this.disk.write(fd, toRecords(events), start);
    this.#writing = write.then(
      () => (this.#writing = undefined),
      () => (this.#writing = undefined),
    );
    try {
      await write;
    } catch (error) {
      this.#forgetFailedWrite(fd, segment);
      throw error;
    }
    let offset = start;
    let before = bytesBefore;
    for (const event of events) {
      if (offset - (segment.marks.at(-1)?.offset ?? 0) >= MARK_BYTES)
        segment.marks.push({ sequence: sequenceOf(event), offset, bytesBefore: before });
      offset += RECORD_HEADER_BYTES + event.length;
      before += event.length;
    }
    segment.size = offset;
    this.#bytes += offset - start;
    this.#bytesAfter = before;
    return offset - start;
  }

  /** Gives the oldest file up; returns its bytes, 0 where there is none that could go. */
  dropHead(options: { evenTheLast?: boolean } = {}): { bytes: number; done: Promise<void> } {
    if (this.#segments.length < (options.evenTheLast ? 1 : 2)) return { bytes: 0, done: Promise.resolve() };
    const segment = this.#segments.shift()!;
    this.#bytes -= segment.size;
    if (this.#segments.length === 0) this.close();
    return { bytes: segment.size, done: this.disk.remove(segment.path) };
  }

  /** Removes every file. Readers see that as a gap. */
  async remove(): Promise<void> {
    this.close();
    this.#bytes = 0;
    await Promise.all(this.#segments.splice(0).map((segment) => this.disk.remove(segment.path)));
  }

  /** Nothing is written afterwards but to a new file. */
  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    // Closed under a write, the number could become another file's before the write is done.
    if (this.#writing === undefined) this.disk.close(fd);
    else void this.#writing.then(() => this.disk.close(fd));
  }

  async readFrom(sequence: number, position?: StoredPosition): Promise<StoredBatch | undefined> {
    let at = this.#segments.findLastIndex((segment) => segment.first <= sequence);
    if (at < 0) at = 0;
    for (let segment = this.#segments[at]; segment; segment = this.#after(segment)) {
      const batch = await this.#readSegment(segment, sequence, position);
      if (batch) return batch;
    }
    return undefined;
  }

  /** Small files for small logs, so that giving the oldest up costs an eighth and not everything. */
  #segmentBytes(): number {
    return Math.min(this.maxSegmentBytes, Math.max(MIN_SEGMENT_BYTES, this.#bytes / 8));
  }

  #after(segment: Segment): Segment | undefined {
    return this.#segments.find((other) => other.first > segment.first);
  }

  async #readSegment(segment: Segment, sequence: number, position?: StoredPosition): Promise<StoredBatch | undefined> {
    const mark = segment.marks.findLast((candidate) => candidate.sequence <= sequence);
    let offset = mark?.offset ?? 0;
    let bytesBefore = mark?.bytesBefore ?? segment.bytesBefore;
    if (position?.segmentFirst === segment.first && position.offset >= offset) ({ offset, bytesBefore } = position);

    let atMost = READ_BYTES;
    while (offset < segment.size) {
      const length = Math.min(atMost, segment.size - offset);
      const bytes = await this.disk.read(segment.path, offset, length).catch((error: unknown) => {
        if (this.#segments.includes(segment)) throw error;
        return Buffer.alloc(0); // was given up meanwhile
      });
      const { events, size } = parseRecords(bytes);
      if (events.length === 0 && atMost < MAX_RECORD_BYTES && bytes.length === READ_BYTES) {
        atMost = MAX_RECORD_BYTES;
        continue;
      }
      if (events.length === 0) return undefined; // the torn end of a file that an agent left when it died
      let skip = 0;
      while (skip < events.length && sequenceOf(events[skip]!) < sequence) bytesBefore += events[skip++]!.length;
      offset += size;
      if (skip === events.length) continue;
      const wanted = events.slice(skip);
      const bytesAfter = wanted.reduce((sum, event) => sum + event.length, bytesBefore);
      return { events: wanted, bytesBefore, next: { segmentFirst: segment.first, offset, bytesBefore: bytesAfter } };
    }
    return undefined;
  }

  /** Cuts off what a failed write left, so that it can never be taken for events. */
  #forgetFailedWrite(fd: number, segment: Segment): void {
    try {
      this.disk.truncate(fd, segment.size);
    } catch {
      // The file is then read up to `size` in this life, and up to the first damaged record in the next.
    }
  }
}

function segmentName(key: number, first: number, bytesBefore: number): string {
  return `e${key.toString(36)}-${first.toString(36)}-${bytesBefore.toString(36)}.log`;
}

/** The files of every log in a directory, by the log's key. */
export function findSegments(disk: Disk, directory: string): Map<number, Segment[]> {
  const found = new Map<number, Segment[]>();
  for (const { name, size } of disk.list(directory)) {
    const match = /^e([0-9a-z]+)-([0-9a-z]+)-([0-9a-z]+)\.log$/.exec(name);
    if (!match) continue;
    const [key, first, bytesBefore] = match.slice(1).map((digits) => Number.parseInt(digits, 36)) as [
      number,
      number,
      number,
    ];
    const segments = found.get(key) ?? [];
    segments.push({ first, bytesBefore, path: `${directory}/${name}`, size, marks: [] });
    found.set(key, segments);
  }
  return found;
}
