import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realDisk, type Disk } from './disk.js';
import { ExecutionIndex, type AcceptedExecution } from './execution-index.js';

const accepted = (key: number): AcceptedExecution => ({
  key,
  sessionId: 'säßion',
  executionId: `e${key}`,
  digest: 'digest',
  incarnation: 1,
  kind: 'COMMAND',
  createMs: 1000,
  firstSequence: 1,
  background: false,
  command: 'echo',
});
const end = (sequence: number) => ({
  sequence,
  event: Buffer.from('event'),
  bytes: 77,
  location: { pack: 3, offset: 5, length: 9 },
  endMs: 2000,
  started: Buffer.from('started'),
});

describe('ExecutionIndex', () => {
  let directory: string;

  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'shipyard-index-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  const open = (disk: Disk = realDisk): { index: ExecutionIndex; found: ReturnType<ExecutionIndex['open']> } => {
    const index = new ExecutionIndex(directory, disk);
    return { index, found: index.open() };
  };

  it('finds what was accepted, reserved and ended', () => {
    const { index } = open();
    const slots = Array.from({ length: 3000 }, (_, at) => index.accept(accepted(at)));
    index.reserve(slots[1]!, 8192);
    index.recordEnd(slots[2]!, end(5));
    const { found } = open();
    expect(found).toHaveLength(3000);
    expect(found[0]).toMatchObject({ accepted: accepted(0), reservedThrough: 4096, end: undefined });
    expect(found[1]).toMatchObject({ reservedThrough: 8192 });
    expect(found[2]!.end).toEqual(end(5));
  });

  it('leaves out what was cut off, and keeps the rest', () => {
    const { index } = open();
    const slots = [1, 2, 3].map((key) => index.accept(accepted(key)));
    truncateSync(slots[2]!.file.path, slots[2]!.offset + 300);
    const next = open();
    expect(next.found.map((each) => each.accepted.key)).toEqual([1, 2]);
    next.index.accept(accepted(4));
    expect(open().found.map((each) => each.accepted.key)).toEqual([1, 2, 4]);
  });

  it('goes on for a while on a full disk, then refuses, and still takes ends', () => {
    let full = false;
    let allocated = 0;
    const disk: Disk = {
      ...realDisk,
      writeSync: (fd, bytes, position) => {
        if (full && position + bytes.length > allocated)
          throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
        allocated = Math.max(allocated, position + bytes.length);
        realDisk.writeSync(fd, bytes, position);
      },
    };
    const { index } = open(disk);
    const first = index.accept(accepted(0));
    full = true;
    let count = 1;
    expect(() => {
      for (; count < 1000; count++) index.accept(accepted(count));
    }).toThrow('the execution cannot be recorded: ENOSPC');
    expect(count).toBeGreaterThan(40);
    index.recordEnd(first, end(9));
    full = false;
    index.accept(accepted(count));
    const { found } = open();
    expect(found).toHaveLength(count + 1);
    expect(found[0]!.end?.sequence).toBe(9);
  });

  it('removes a file with its last entry', async () => {
    const before = open().index;
    const slots = [before.accept(accepted(1)), before.accept(accepted(2))];
    const { index, found } = open();
    await index.forget(found[0]!.slot);
    expect(realDisk.list(directory)).toHaveLength(1);
    await index.forget(found[1]!.slot);
    expect(realDisk.list(directory)).toEqual([]);
    expect(slots).toHaveLength(2);
  });
});
