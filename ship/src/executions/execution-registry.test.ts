import { Cause, ExecutionKind, ExecutionState } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { markLinkLost } from '../../../proto/rpc/link-lost.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { settle, FakeClock } from './testing/fake-clock.js';
import { cell, command, RegistryBench } from './testing/registry-bench.js';

const NOBODY = new AbortController().signal;
const ALL = { kind: ExecutionKind.UNSPECIFIED, state: ExecutionState.UNSPECIFIED, backgroundOnly: false };

describe('ExecutionRegistry', () => {
  let bench: RegistryBench;

  beforeEach(() => {
    bench = new RegistryBench(new FakeClock());
  });

  afterEach(() => bench.remove());

  it('runs work once however often it is started', async () => {
    const first = await bench.registry.start(command('a'));
    const again = await bench.registry.start({
      ...command('a'),
      shipId: 'other',
      lifetime: first.task!.request.lifetime,
    });
    await settle();
    expect(again).toBe(first);
    expect(bench.commands.begun).toHaveLength(1);
    bench.commands.work('a').print('hello');
    bench.commands.work('a').finish();
    await settle();

    const events = await bench.events(await bench.registry.start(command('a')));

    expect(events.map(({ event }) => event?.$case)).toEqual(['queued', 'started', 'stdout', 'ended']);
    expect(bench.commands.begun).toHaveLength(1);
  });

  it('tells requests apart by what they ask, not by the order of their environment', async () => {
    const asking = (env: Record<string, string>): ReturnType<typeof command> =>
      command('a', 'x', {
        work: { $case: 'command', value: { command: 'x', argv: [], cwd: '', env, stdin: false, background: false } },
      });
    await bench.registry.start(asking({ B: '1', A: '2' }));
    await bench.registry.start(asking({ A: '2', B: '1' }));
    await expect(bench.registry.start(asking({ A: '2' }))).rejects.toMatchObject({ reason: 'EXECUTION_ID_REUSED' });
    await expect(bench.registry.start(cell('a'))).rejects.toMatchObject({ reason: 'EXECUTION_ID_REUSED' });
  });

  it('makes ids where none are given, and keeps them ordered', async () => {
    const one = await bench.registry.start(command(''));
    await bench.clock.advance(2);
    const two = await bench.registry.start(command(''));
    expect(one.accepted.executionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(one.accepted.executionId < two.accepted.executionId).toBe(true);
  });

  it('shows a session nothing of another', async () => {
    await bench.registry.start(command('a'));
    expect(reasonOf(() => bench.registry.find('other', 'a'))).toBe('EXECUTION_NOT_FOUND');
    expect(await bench.registry.list('other', ALL)).toEqual([]);
  });

  describe('the queue of cells', () => {
    it('gives the kernel one cell at a time, first in, first out', async () => {
      const entries = [];
      for (const id of ['a', 'b', 'c']) entries.push(await bench.registry.start(cell(id)));
      await settle();
      expect(bench.cells.begun.map((work) => work.execution.executionId)).toEqual(['a']);
      bench.cells.work('a').finish();
      await settle();
      expect(bench.cells.begun.map((work) => work.execution.executionId)).toEqual(['a', 'b']);
      expect((await bench.events(entries[0]!))[0]!.event).toMatchObject({ value: { ahead: 0 } });
      const reader = bench.registry.read(entries[2]!, 1);
      expect((await reader.next()).value).toBeDefined();
      expect(await bench.registry.describe(entries[2]!)).toMatchObject({ state: ExecutionState.QUEUED });
    });

    it('cancels a waiting cell without touching the running one', async () => {
      await bench.registry.start(cell('a'));
      const waiting = await bench.registry.start(cell('b'));
      bench.registry.task('s', 'b').cancel('');
      const events = await bench.events(waiting);
      expect(events.at(-1)!.event).toMatchObject({
        value: { outcome: { $case: 'couldNotStart' }, cause: Cause.CANCELLED },
      });
      await settle();
      expect(bench.cells.work('a').stops).toEqual([]);
      bench.cells.work('a').finish();
      await settle();
      expect(bench.cells.begun).toHaveLength(1);
    });

    it('refuses the 258th cell, and takes commands all the same', async () => {
      for (let at = 0; at < 257; at++) await bench.registry.start(cell(`c${at}`));
      await expect(bench.registry.start(cell('more'))).rejects.toMatchObject({ reason: 'SESSION_QUEUE_FULL' });
      await bench.registry.start(cell('c200'));
      await bench.registry.start(command('k'));
      await settle();
      expect(bench.commands.begun).toHaveLength(1);
    });

    it('ends queued cells with the kernel, before the next would run', async () => {
      await bench.registry.start(cell('a'));
      const waiting = await bench.registry.start(cell('b'));
      await settle();
      bench.registry.endQueuedCells('s', Cause.KERNEL_RESTARTED);
      bench.cells
        .work('a')
        .finish({ outcome: { $case: 'kernelDied', value: { exitCode: 0, signal: '' } }, kernelRestarted: true });
      expect((await bench.events(waiting)).at(-1)!.event).toMatchObject({ value: { cause: Cause.KERNEL_RESTARTED } });
      expect((await bench.events(bench.registry.find('s', 'a'))).at(-1)!.event).toMatchObject({
        value: { cause: Cause.KERNEL_RESTARTED, outcome: { $case: 'kernelDied' } },
      });
      expect(bench.cells.begun).toHaveLength(1);
    });
  });

  describe('deadlines', () => {
    it('counts timeout_ms from `started` and tells outcome and cause apart', async () => {
      bench.commands.starts = false;
      bench.commands.obedient = false;
      const entry = await bench.registry.start(command('a', 'x', { timeoutMs: 1000 }));
      await settle();
      await bench.clock.advance(5000);
      const work = bench.commands.work('a');
      expect(work.stops).toEqual([]);
      work.start();
      await bench.clock.advance(999);
      expect(work.stops).toEqual([]);
      await bench.clock.advance(1);
      expect(work.stops).toEqual([500]);
      work.print('last words');
      work.finish({ outcome: { $case: 'exited', value: { code: 0 } } });
      const events = await bench.events(entry);
      expect(events.map(({ event }) => event?.$case)).toEqual(['queued', 'started', 'stdout', 'ended']);
      expect(events.at(-1)!.event).toMatchObject({
        value: { outcome: { $case: 'exited', value: { code: 0 } }, cause: Cause.DEADLINE },
      });
    });

    it('bounds the wait in the queue by queue_timeout_ms', async () => {
      await bench.registry.start(cell('a'));
      const waiting = await bench.registry.start(cell('b', 'x', { queueTimeoutMs: 300 }));
      await bench.clock.advance(300);
      expect((await bench.events(waiting)).at(-1)!.event).toMatchObject({
        value: { outcome: { $case: 'couldNotStart' }, cause: Cause.DEADLINE },
      });
      expect(bench.cells.work('a').stops).toEqual([]);
    });

    it('does not blame the deadline for work that was over before it', async () => {
      bench.commands.obedient = false;
      const entry = await bench.registry.start(command('a', 'x', { timeoutMs: 10 }));
      await settle();
      await bench.clock.advance(10);
      bench.commands.work('a').finish({ outcome: { $case: 'exited', value: { code: 3 } }, bySelf: true });
      expect((await bench.events(entry)).at(-1)!.event).toMatchObject({ value: { cause: Cause.NONE } });
    });

    it('seals work that does not end as unknown, and lets the queue go on', async () => {
      bench.cells.obedient = false;
      const entry = await bench.registry.start(cell('a'));
      await bench.registry.start(cell('b'));
      await settle();
      bench.registry.task('s', 'a').cancel('');
      await bench.clock.advance(10_500);
      expect((await bench.events(entry)).at(-1)!.event).toMatchObject({
        value: { outcome: { $case: 'unknown' }, cause: Cause.CANCELLED },
      });
      expect(bench.cells.begun).toHaveLength(2);
    });

    it('tells work that is only beginning to give up', async () => {
      let open: () => void = () => undefined;
      bench.cells.gate = new Promise((resolve) => (open = resolve));
      const entry = await bench.registry.start(cell('a'));
      await settle();
      bench.registry.task('s', 'a').cancel('');
      expect(bench.cells.work('a').execution.signal.aborted).toBe(true);
      bench.cells.failure = new StatusError('KERNEL_STATE_LOST', 'gone');
      open();
      expect((await bench.events(entry)).at(-1)!.event).toMatchObject({
        value: {
          outcome: { $case: 'couldNotStart', value: { reason: 'KERNEL_STATE_LOST: gone' } },
          cause: Cause.CANCELLED,
        },
      });
    });
  });

  describe('work that belongs to a call', () => {
    const callFor = async (id: string): Promise<AbortController> => {
      const call = new AbortController();
      const entry = await bench.registry.start(command(id));
      entry.task!.owners.add(call.signal);
      await settle();
      return call;
    };

    it('is cancelled when the caller cancels', async () => {
      const call = await callFor('a');
      call.abort(new StatusError('CANCELLED', 'left'));
      expect(bench.commands.work('a').stops).toEqual([500]);
    });

    it('waits 10 s for Bay where the link was lost', async () => {
      const call = await callFor('a');
      call.abort(markLinkLost(new StatusError('CANCELLED', 'gone')));
      await bench.clock.advance(9_999);
      expect(bench.commands.work('a').stops).toEqual([]);
      await bench.clock.advance(1);
      expect(bench.commands.work('a').stops).toEqual([500]);
    });

    it('belongs to the call that comes back', async () => {
      const call = await callFor('a');
      const reader = new AbortController();
      const { owners } = bench.registry.task('s', 'a');
      call.abort(markLinkLost(new StatusError('CANCELLED', 'gone')));
      await bench.clock.advance(5_000);
      owners.addReader(reader.signal);
      await bench.clock.advance(60_000);
      expect(bench.commands.work('a').stops).toEqual([]);
      reader.abort(new StatusError('CANCELLED', 'left'));
      expect(bench.commands.work('a').stops).toEqual([500]);
    });

    it('belongs to the reader that came back before the loss was seen', async () => {
      const call = await callFor('a');
      const reader = new AbortController();
      bench.registry.task('s', 'a').owners.addReader(reader.signal);
      call.abort(markLinkLost(new StatusError('CANCELLED', 'gone')));
      await bench.clock.advance(60_000);
      expect(bench.commands.work('a').stops).toEqual([]);
      reader.abort(new StatusError('CANCELLED', 'left'));
      expect(bench.commands.work('a').stops).toEqual([500]);
    });
  });

  describe('controls', () => {
    it('take input once, by offset', async () => {
      await bench.registry.start(command('a'));
      await settle();
      const task = bench.registry.task('s', 'a');
      const write = (offset: number, text: string, eof = false): Promise<{ acceptedOffset: number }> =>
        task.writeInput({ offset, data: Buffer.from(text), eof }, NOBODY);
      expect(await write(0, 'hello')).toEqual({ acceptedOffset: 5 });
      expect(await write(0, 'hello world')).toEqual({ acceptedOffset: 11 });
      expect(await write(3, 'lo')).toEqual({ acceptedOffset: 11 });
      await expect(write(12, 'x')).rejects.toMatchObject({ reason: 'INPUT_GAP', details: { offset: 11 } });
      expect(await write(11, '!', true)).toEqual({ acceptedOffset: 12 });
      expect(await write(11, '!', true)).toEqual({ acceptedOffset: 12 });
      expect(bench.commands.work('a').input).toBe('hello world!');
      expect(bench.commands.work('a').inputEnded).toBe(true);
      await expect(write(12, 'x')).rejects.toMatchObject({ reason: 'CONTROL_UNSUPPORTED' });
    });

    it('take what fits, 64 KiB at most', async () => {
      await bench.registry.start(command('a'));
      await settle();
      const task = bench.registry.task('s', 'a');
      const data = Buffer.alloc(100_000, 120);
      expect(await task.writeInput({ offset: 0, data, eof: true }, NOBODY)).toEqual({ acceptedOffset: 65_536 });
      expect(bench.commands.work('a').inputEnded).toBe(false);
      expect(await task.writeInput({ offset: 0, data, eof: true }, NOBODY)).toEqual({ acceptedOffset: 100_000 });
      expect(bench.commands.work('a').inputEnded).toBe(true);
      bench.commands.inputTakes = 0;
      const full = task.writeInput({ offset: 100_000, data: Buffer.alloc(0), eof: false }, NOBODY);
      expect(await full).toEqual({ acceptedOffset: 100_000 });
    });

    it('act once for each control id, the last 64 of them', async () => {
      await bench.registry.start(command('a'));
      await settle();
      const task = bench.registry.task('s', 'a');
      const work = bench.commands.work('a');
      await task.signal('SIGUSR1', 'one');
      await task.signal('SIGUSR1', 'one');
      await task.interrupt('one');
      await task.interrupt('one');
      expect([work.signals, work.interrupts]).toEqual([['SIGUSR1'], 1]);
      for (let at = 0; at < 64; at++) await task.signal('SIGUSR2', `n${at}`);
      await task.signal('SIGUSR1', 'one');
      expect(work.signals.filter((name) => name === 'SIGUSR1')).toHaveLength(2);
      await expect(task.signal('SIGNOPE', '')).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
    });

    it('answer an input request once', async () => {
      await bench.registry.start(cell('a'));
      await settle();
      const work = bench.cells.work('a');
      void work.execution.append({ $case: 'inputRequest', value: { prompt: '?', password: false } });
      const sequence = work.execution.lastSequence;
      const task = bench.registry.task('s', 'a');
      await expect(task.answerInput(sequence + 1, 'x')).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
      await task.answerInput(sequence, 'yes');
      await expect(task.answerInput(sequence, 'no')).rejects.toMatchObject({ reason: 'INPUT_ANSWERED' });
      expect(work.answers).toEqual([[sequence, 'yes']]);
    });

    it('log a new size', async () => {
      const entry = await bench.registry.start(command('a'));
      await settle();
      await bench.registry.task('s', 'a').resize(100, 40);
      bench.commands.work('a').finish();
      expect((await bench.events(entry))[2]!.event).toEqual({ $case: 'resized', value: { columns: 100, rows: 40 } });
    });

    it('wait for work that is about to begin', async () => {
      let open: () => void = () => undefined;
      bench.commands.gate = new Promise((resolve) => (open = resolve));
      await bench.registry.start(command('a'));
      const writing = bench.registry
        .task('s', 'a')
        .writeInput({ offset: 0, data: Buffer.from('x'), eof: false }, NOBODY);
      open();
      expect(await writing).toEqual({ acceptedOffset: 1 });
    });

    it('are told of the end that came before them', async () => {
      await bench.registry.start(command('a'));
      await settle();
      bench.commands.work('a').finish({ outcome: { $case: 'exited', value: { code: 4 } } });
      await settle();
      const late = thrownBy(() => bench.registry.task('s', 'a'));
      expect(late.reason).toBe('EXECUTION_ENDED');
      expect(late.details).toMatchObject({ end: { exited: { code: 4 } } });
    });
  });

  describe('the end of a session', () => {
    it('ends its executions, queued and running, and leaves others alone', async () => {
      bench.registry.openSession('t');
      const mine = [
        await bench.registry.start(cell('a')),
        await bench.registry.start(cell('b')),
        await bench.registry.start(command('c')),
      ];
      const other = await bench.registry.start(command('d', 'x', { sessionId: 't' }));
      await settle();
      void bench.registry.background('s').output('stdout', Buffer.from('late'));
      const background = bench.registry.find('s', 'background');
      await bench.registry.endSession('s');
      for (const entry of [...mine, background])
        expect((await bench.events(entry)).at(-1)!.event).toMatchObject({
          value: { cause: Cause.SESSION_ENDED, statePreserved: false },
        });
      expect(other.end).toBeUndefined();
      expect(bench.cells.begun).toHaveLength(1);
      await bench.registry.endSession('s');
    });

    it('goes on with the numbers of `background` when the session comes back', async () => {
      void bench.registry.background('s').output('stdout', Buffer.from('one'));
      await bench.registry.endSession('s');
      bench.registry.openSession('s');
      void bench.registry.background('s').output('stdout', Buffer.from('two'));
      const old = bench.registry.find('s', 'background', 1);
      const events = await bench.events(old);
      expect(events.map(({ sequence, event }) => [sequence, event?.$case])).toEqual([
        [1, 'stdout'],
        [2, 'ended'],
      ]);
      const fresh = bench.registry.find('s', 'background', 3);
      const reader = bench.registry.read(fresh, 3);
      expect((await reader.next()).done).toBe(false);
      expect(fresh.log!.lastSequence).toBe(3);
    });
  });

  describe('over a crash', () => {
    it('seals what had not ended at the first number that was not reserved, and runs nothing twice', async () => {
      const running = await bench.registry.start(cell('a'));
      await bench.registry.start(cell('b'));
      await settle();
      bench.cells.work('a').print('before');
      await bench.clock.advance(60); // on its way to disk
      await new Promise((resolve) => setTimeout(resolve, 50));
      const last = running.log!.lastSequence;

      const next = bench.restored();

      const again = await next.registry.start(cell('a'));
      const events = await next.events(again, 1);
      expect(events.map(({ sequence, event }) => [sequence, event?.$case])).toEqual([
        [1, 'queued'],
        [2, 'started'],
        [3, 'stdout'],
        [4096, 'truncated'],
        [4097, 'ended'],
      ]);
      expect(last).toBe(3);
      expect(events.at(-1)!.event).toMatchObject({ value: { outcome: { $case: 'unknown' }, cause: Cause.AGENT_LOST } });
      expect(next.registry.find('s', 'b').end!.sequence).toBe(4097);
      await settle();
      expect(next.cells.begun).toEqual([]);
      await expect(next.registry.start(cell('a', 'other'))).rejects.toMatchObject({ reason: 'EXECUTION_ID_REUSED' });
      await next.registry.close();
    });

    it('keeps ended logs, and their ends, as they were', async () => {
      const entry = await bench.registry.start(command('a', 'echo', { timeoutMs: 5 }));
      await settle();
      bench.commands.work('a').print('kept');
      bench.commands.work('a').finish({ outcome: { $case: 'exited', value: { code: 2 } } });
      const before = await bench.events(entry);
      const description = await bench.registry.describe(entry);
      await bench.clock.advance(25);
      await bench.registry.close();

      const next = bench.restored();

      expect(await next.events(next.registry.find('s', 'a'))).toEqual(before);
      expect(await next.registry.describe(next.registry.find('s', 'a'))).toEqual(description);
      expect((await next.registry.list('s', ALL)).map(({ executionId }) => executionId)).toEqual(['a']);
    });

    it('keeps what is expired and what is not apart', async () => {
      const start = async (id: string): Promise<void> => {
        await bench.registry.start(command(id));
        await settle();
        bench.commands.work(id).finish();
        await settle();
      };
      await start('old');
      await bench.clock.advance(50 * 60_000);
      await start('young');
      await bench.clock.advance(11 * 60_000);
      await bench.registry.close();

      const next = bench.restored();

      expect(reasonOf(() => next.registry.read(next.registry.find('s', 'old'), 0))).toBe('EXECUTION_LOG_EXPIRED');
      await expect(next.registry.start(command('old'))).rejects.toMatchObject({ reason: 'EXECUTION_LOG_EXPIRED' });
      expect(await next.events(next.registry.find('s', 'young'))).toHaveLength(3);
      expect(await next.registry.describe(next.registry.find('s', 'old'))).toMatchObject({
        state: ExecutionState.ENDED,
      });
      await next.clock.advance(24 * 3_600_000);
      expect(reasonOf(() => next.registry.find('s', 'old'))).toBe('EXECUTION_NOT_FOUND');
    });
  });

  it('ends everything when the ship stops, and starts nothing more', async () => {
    const entry = await bench.registry.start(command('a'));
    await settle();
    await bench.registry.close(100);
    expect((await bench.events(entry)).at(-1)!.event).toMatchObject({
      value: { cause: Cause.SHIP_STOPPED, statePreserved: false },
    });
    expect(bench.commands.work('a').stops).toEqual([100]);
    await expect(bench.registry.start(command('b'))).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
  });

  it('tells watchers of every state', async () => {
    const seen: string[] = [];
    bench.registry.onChange(({ executionId, state }) => seen.push(`${executionId} ${state}`));
    await bench.registry.start(command('a'));
    await settle();
    expect(bench.registry.unfinished()).toHaveLength(1);
    bench.commands.work('a').finish();
    await settle();
    expect(seen).toEqual(['a EXECUTION_STATE_QUEUED', 'a EXECUTION_STATE_RUNNING', 'a EXECUTION_STATE_ENDED']);
    expect(bench.registry.unfinished()).toEqual([]);
  });
});

function thrownBy(act: () => unknown): StatusError {
  try {
    act();
  } catch (error) {
    return StatusError.from(error);
  }
  throw new Error('nothing was thrown');
}

const reasonOf = (act: () => unknown): string => thrownBy(act).reason;
