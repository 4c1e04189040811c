import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cause, type Ended, ExecutionEvent, Started } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { random } from '../../../proto/rpc/testing/random.js';
import { encodeEvent } from './event-encoding.js';
import { ExecutionLog, MEMORY_BYTES } from './execution-log.js';
import { MAX_EVENT_BYTES } from './large-events.js';
import { BrokenDisk } from './testing/broken-disk.js';
import { FakeClock, settle } from './testing/fake-clock.js';
import { bytesOf, collect, LogBench } from './testing/log-bench.js';

const END: Ended = {
  outcome: { $case: 'exited', value: { code: 0 } },
  cause: Cause.NONE,
  statePreserved: false,
  detachedOutput: false,
  endTime: undefined,
  executionCount: 0,
};

async function fill(log: ExecutionLog, bytes: Buffer, pieceBytes: (left: number) => number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const size = Math.max(1, Math.min(bytes.length - at, pieceBytes(bytes.length - at)));
    await log.output('stdout', bytes.subarray(at, at + size));
    at += size;
  }
}

describe('ExecutionLog', () => {
  it('gives readers what comes just before the end along with it, or a moment later where no end comes', async () => {
    const clock = new FakeClock();
    await using bench = new LogBench({ clock });
    const ending = bench.log(1);
    const lasting = bench.log(2);
    const read = (log: ExecutionLog) => {
      const seen: number[] = [];
      void (async () => {
        for await (const event of log.read(1)) seen.push(ExecutionEvent.decode(event).sequence);
      })();
      return seen;
    };
    const ofEnding = read(ending);
    const ofLasting = read(lasting);
    for (const log of [ending, lasting]) {
      log.endIsNear();
      void log.append({ $case: 'clearOutput', value: { wait: true } });
    }
    await settle();
    expect([ofEnding, ofLasting]).toEqual([[], []]);
    ending.end(END);
    await settle();
    expect(ofEnding).toEqual([1, 2]);
    await clock.advance(5);
    await settle();
    expect(ofLasting).toEqual([1]);
  });

  it('gives readers the beginning of short work along with what follows, or a moment later where nothing does', async () => {
    const clock = new FakeClock();
    await using bench = new LogBench({ clock });
    const [short, printing, lasting] = [bench.log(1), bench.log(2), bench.log(3)] as const;
    const seen = [short, printing, lasting].map((log) => {
      log.appendQueued(0, new Date(), true);
      void log.append({ $case: 'started', value: Started.fromPartial({}) });
      const sequences: number[] = [];
      void (async () => {
        for await (const event of log.read(1)) sequences.push(ExecutionEvent.decode(event).sequence);
      })();
      return sequences;
    });
    await settle();
    expect(seen).toEqual([[], [], []]);
    short.end(END);
    void printing.output('stdout', Buffer.from('a'));
    await settle();
    expect(seen).toEqual([[1, 2, 3], [1, 2, 3], []]);
    await clock.advance(5);
    await settle();
    expect(seen[2]).toEqual([1, 2]);
  });

  it('numbers events from 1 without gaps and ends once', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    log.appendQueued(0, new Date());
    void log.output('stdout', Buffer.from('a'));
    void log.output('stderr', Buffer.from('b'));
    void log.append({ $case: 'clearOutput', value: { wait: true } });
    log.end(END);
    log.end({ ...END, cause: Cause.CANCELLED });
    void log.output('stdout', Buffer.from('late'));

    const events = await collect(log.read(0));

    expect(events.map(({ sequence, event }) => [sequence, event?.$case])).toEqual([
      [1, 'queued'],
      [2, 'stdout'],
      [3, 'stderr'],
      [4, 'clearOutput'],
      [5, 'ended'],
    ]);
    expect(bench.ends.get(1)?.sequence).toBe(5);
  });

  it('hands a live reader the very buffer that was appended', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    const [a, b] = [log.read(1), log.read(1)];
    const waiting = [a.next(), b.next()];
    void log.output('stdout', Buffer.from('x'));
    const [first, second] = await Promise.all(waiting);
    expect(first!.value).toBe(second!.value);
    log.end(END);
  });

  it('sends the first output after a pause at once and gathers what follows', async () => {
    const clock = new FakeClock();
    await using bench = new LogBench({ clock });
    const log = bench.log(1);
    void log.output('stdout', Buffer.from('1'));
    expect(log.lastSequence).toBe(1);
    void log.output('stdout', Buffer.from('2'));
    void log.output('stdout', Buffer.from('3'));
    expect(log.lastSequence).toBe(1);
    await clock.advance(5);
    expect(log.lastSequence).toBe(2);
    log.end(END);
    expect(bytesOf(await collect(log.read(2)), 'stdout').toString()).toBe('23');
  });

  it('keeps characters whole however they are split, and gives bytes as bytes', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    const text = Buffer.from('aé€😀'.repeat(20_000));
    for (let at = 0; at < text.length; at += 7) void log.output('stdout', text.subarray(at, at + 7));
    void log.output('stderr', Buffer.from([0xff, 0xfe, 0x41]));
    void log.output('stderr', Buffer.from([0xe2, 0x82]));
    log.end(END);

    const events = await collect(log.read(1));

    expect(bytesOf(events, 'stdout').equals(text)).toBe(true);
    for (const { event } of events) if (event?.$case === 'stdout') expect(event.value.content?.$case).toBe('text');
    expect(bytesOf(events, 'stderr')).toEqual(Buffer.from([0xff, 0xfe, 0x41, 0xe2, 0x82]));
  });

  it('encodes output as the generated code does', () => {
    const event = ExecutionEvent.decode(
      encodeEvent(300, 70_000, { $case: 'pty', value: { content: { $case: 'text', value: 'héllo' } } }),
    );
    expect(event).toMatchObject({ sequence: 300, elapsedUs: 70_000 });
  });

  it('moves what is too large for one event into parts that follow it', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    const image = randomBytes(1_000_000);
    await log.append({
      $case: 'display',
      value: {
        items: [
          { mimeType: 'text/plain', content: { $case: 'text', value: 'small' } },
          { mimeType: 'image/png', content: { $case: 'data', value: image } },
        ],
        metadataJson: '{}',
        displayId: '',
        executionCount: 0,
        largeFields: [],
      },
    });
    await log.append({
      $case: 'error',
      value: { name: 'E', value: 'é'.repeat(400_000), traceback: ['a', 'b'], executionCount: 1, largeFields: [] },
    });
    log.end(END);
    const encoded: Buffer[] = [];
    for await (const event of log.read(1)) encoded.push(event);
    expect(Math.max(...encoded.map((event) => event.length))).toBeLessThanOrEqual(MAX_EVENT_BYTES);

    const events = encoded.map((event) => ExecutionEvent.decode(event).event!);
    const display = events[0]!;
    if (display.$case !== 'display') throw new Error(display.$case);
    const reference = display.value.items[1]!.content;
    expect(reference).toEqual({ $case: 'parts', value: { count: 6, sizeBytes: 1_000_000, text: false } });
    const parts = events.slice(1, 7).map((event) => (event.$case === 'blobPart' ? event.value.data : Buffer.alloc(0)));
    expect(Buffer.concat(parts).equals(image)).toBe(true);
    const error = events[7]!;
    expect(error.$case === 'error' && error.value.largeFields[0]?.content).toMatchObject({
      value: { sizeBytes: 800_000 },
    });
  });

  it('gives readers that are cut at random points every byte once', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    const bytes = randomBytes(10 * 1024 * 1024);
    const next = random(7);
    const reader = (async () => {
      const events: ExecutionEvent[] = [];
      let cuts = 0;
      for (let from = 0, done = false; !done;) {
        let budget = next(40);
        for await (const encoded of log.read(from)) {
          const event = ExecutionEvent.decode(encoded);
          events.push(event);
          from = event.sequence + 1;
          if (event.event?.$case === 'ended') done = true;
          if (next(8) === 0) await new Promise((resolve) => setImmediate(resolve));
          if (cuts < 200 && budget-- <= 0) {
            cuts++;
            break;
          }
        }
      }
      return events;
    })();
    await fill(log, bytes, () => 1 + next(100_000));
    log.end(END);

    const events = await reader;

    expect(events.map((event) => event.sequence)).toEqual(events.map((_, at) => at + 1));
    expect(bytesOf(events, 'stdout').equals(bytes)).toBe(true);
    await log.settled;
    log.release();
    expect(bytesOf(await collect(log.read(1)), 'stdout').equals(bytes)).toBe(true);
  });

  it('holds no more in memory for a reader that is slow', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    const slow = log.read(1);
    await fill(log, Buffer.from('x'), () => 1);
    await slow.next();
    const bytes = randomBytes(8 * 1024 * 1024);
    let most = 0;
    await fill(log, bytes, () => {
      most = Math.max(most, log.memoryBytes);
      return 65536;
    });
    log.end(END);

    expect(most).toBeLessThan(MEMORY_BYTES + 256 * 1024);
    const rest: ExecutionEvent[] = [];
    for await (const event of slow) rest.push(ExecutionEvent.decode(event));
    expect(bytesOf(rest, 'stdout').equals(bytes)).toBe(true);
  });

  it('asks the work to wait while the disk is slow', async () => {
    const disk = new BrokenDisk();
    let open: () => void = () => undefined;
    disk.gate = new Promise((resolve) => (open = resolve));
    await using bench = new LogBench({ disk });
    const log = bench.log(1);
    let waiting: Promise<void> | undefined;
    for (let at = 0; at < 100 && !waiting; at++) waiting = log.output('stdout', Buffer.alloc(65536, 97));
    expect(waiting).toBeDefined();
    expect(log.memoryBytes).toBeLessThan(MEMORY_BYTES + 256 * 1024);
    open();
    await waiting;
    log.end(END);
    expect((await collect(log.read(1))).at(-1)?.event?.$case).toBe('ended');
  });

  it('gives the head of a running log up at its bound and tells a late cursor what is gone', async () => {
    await using bench = new LogBench({ executionMaxBytes: 1024 * 1024 });
    const log = bench.log(1);
    const bytes = randomBytes(4 * 1024 * 1024);
    await fill(log, bytes, () => 65536);
    log.end(END);
    await log.settled;

    const events = await collect(log.read(0));

    const first = events[0]!;
    if (first.event?.$case !== 'truncated') throw new Error('not truncated');
    expect(first.sequence).toBe(first.event.value.last);
    expect(first.event.value.first).toBe(1);
    expect(events[1]!.sequence).toBe(first.event.value.last + 1);
    const kept = bytesOf(events, 'stdout');
    expect(kept.equals(bytes.subarray(bytes.length - kept.length))).toBe(true);
    expect(kept.length).toBeGreaterThan(512 * 1024);
    expect(bench.store.bytes).toBeLessThanOrEqual(1024 * 1024);
    expect(first.event.value.bytes).toBeGreaterThanOrEqual(bytes.length - kept.length);
    await expect(collect(log.read(1, { strict: true }))).rejects.toMatchObject({
      reason: 'LOG_TRUNCATED',
      details: { oldest_sequence: first.event.value.last + 1 },
    });
    expect((await collect(log.read(first.sequence + 1, { strict: true }))).length).toBe(events.length - 1);
  });

  it('gives ended logs up first, oldest first', async () => {
    await using bench = new LogBench({ shipMaxBytes: 3 * 1024 * 1024 });
    const logs = [1, 2, 3].map((key) => bench.log(key));
    for (const log of logs) {
      await fill(log, randomBytes(1_200_000), () => 65536);
      log.end(END);
      await log.settled;
      log.release();
    }
    const kinds = await Promise.all(logs.map(async (log) => (await collect(log.read(1)))[0]!.event!.$case));
    expect(kinds).toEqual(['truncated', 'stdout', 'stdout']);
  });

  it('packs small ended logs and reads them back', async () => {
    await using bench = new LogBench();
    const logs = Array.from({ length: 50 }, (_, at) => bench.log(at + 1));
    for (const [at, log] of logs.entries()) {
      void log.output('stdout', Buffer.from(`output ${at}`));
      log.end(END);
    }
    await Promise.all(logs.map((log) => log.settled));
    for (const log of logs) log.release();
    for (const [at, log] of logs.entries()) {
      const events = await collect(log.read(1));
      expect(events.map((event) => event.sequence)).toEqual([1, 2]);
      expect(bytesOf(events, 'stdout').toString()).toBe(`output ${at}`);
    }
    const again = ExecutionLog.ofEnded(7, { ...depsOf(bench) }, bench.ends.get(7)!);
    expect(bytesOf(await collect(again.read(0)), 'stdout').toString()).toBe('output 6');
  });

  it('goes on when the disk is full, and says what was lost', async () => {
    const disk = new BrokenDisk();
    await using bench = new LogBench({ disk });
    const log = bench.log(1);
    disk.freeBytes = 300_000;
    const bytes = randomBytes(2 * 1024 * 1024);
    await fill(log, bytes, () => 65536);
    disk.freeBytes = Infinity;
    const more = randomBytes(300_000);
    await fill(log, more, () => 65536);
    log.end(END);
    await log.settled;

    const events = await collect(log.read(1));

    const kept = bytesOf(events, 'stdout');
    expect(events.at(-1)?.event?.$case).toBe('ended');
    expect(kept.subarray(-more.length).equals(more)).toBe(true);
    let expected = 1;
    for (const { sequence, event } of events) {
      if (event?.$case === 'truncated') expect(event.value.first).toBe(expected);
      else expect(sequence).toBe(expected);
      expected = sequence + 1;
    }
  });

  it('makes room for the running log on a full disk at the cost of ended ones', async () => {
    const disk = new BrokenDisk();
    await using bench = new LogBench({ disk });
    const old = bench.log(1);
    await fill(old, randomBytes(500_000), () => 65536);
    old.end(END);
    await old.settled;
    old.release();
    disk.freedBytes = 500_000;
    disk.freeBytes = 100_000;
    const log = bench.log(2);
    const bytes = randomBytes(400_000);
    await fill(log, bytes, () => 65536);
    log.end(END);
    await log.settled;
    log.release();
    expect(bytesOf(await collect(log.read(1)), 'stdout').equals(bytes)).toBe(true);
    const events = await collect(old.read(1));
    expect(events.map(({ event }) => event!.$case)).toEqual(['truncated', 'ended']);
    expect(events[0]!.event).toMatchObject({ value: { first: 1, last: events[1]!.sequence - 1 } });
  });

  it('serves many readers at once, each from its own number', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    const readers = Array.from({ length: 50 }, (_, at) => collect(log.read(at)));
    for (let at = 0; at < 60; at++) {
      void log.append({ $case: 'clearOutput', value: { wait: false } });
      if (at % 10 === 0) await settle();
    }
    log.end(END);
    const all = await Promise.all(readers);
    all.forEach((events, at) => expect(events.map((event) => event.sequence)[0]).toBe(Math.max(1, at)));
    expect(all.every((events) => events.at(-1)!.sequence === 61)).toBe(true);
  });

  it('lets a waiting reader go when its signal aborts', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    const abort = new AbortController();
    const reading = collect(log.read(1, { signal: abort.signal }));
    await settle();
    abort.abort(new Error('left'));
    await expect(reading).rejects.toThrow('left');
    log.end(END);
  });

  it('reserves numbers before it gives them', async () => {
    await using bench = new LogBench();
    const log = bench.log(1);
    for (let at = 0; at < 4096; at++) void log.append({ $case: 'clearOutput', value: { wait: false } });
    expect(bench.reservations).toEqual([]);
    void log.append({ $case: 'clearOutput', value: { wait: false } });
    expect(bench.reservations).toEqual([8192]);
    log.end(END);
  });

  it('stays within a real file system that is full', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'shipyard-tmpfs-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'ignore' });
    } catch {
      rmSync(directory, { recursive: true });
      return; // needs root; the broken disk above shows the same
    }
    try {
      await using bench = new LogBench({ directory });
      const log = bench.log(1);
      const bytes = randomBytes(3 * 1024 * 1024);
      await fill(log, bytes, () => 50_000);
      log.end(END);
      await log.settled;
      const events = await collect(log.read(1));
      expect(events.at(-1)?.event?.$case).toBe('ended');
      const kept = bytesOf(events, 'stdout');
      expect(kept.subarray(-200_000).equals(bytes.subarray(-200_000))).toBe(true);
    } finally {
      execFileSync('umount', [directory]);
      rmSync(directory, { recursive: true });
    }
  });
});

function depsOf(bench: LogBench): ConstructorParameters<typeof ExecutionLog>[1] {
  return { store: bench.store, clock: new FakeClock(), reserve: () => undefined, recordEnd: () => undefined };
}
