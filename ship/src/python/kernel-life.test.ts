import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SUPPORT_DIR, testPythons } from './testing/local-session-runner.js';
import { TestSessions } from './testing/test-session.js';

const COMPLETED = { $case: 'completed', value: {} };
const RAISED = { $case: 'raised', value: {} };

describe.each(testPythons())('the life of a kernel, %s', (_name, python) => {
  let sessions: TestSessions;
  beforeEach(() => (sessions = new TestSessions({ python })));
  afterEach(() => sessions.close());

  it('is told when the code makes it exit, with the code and the last output', async () => {
    await sessions.run('kept = 1');
    const started = performance.now();
    const { log, end } = await sessions.run('print("last words"); import os; os._exit(7)');
    expect(performance.now() - started).toBeLessThan(1000);
    expect(end).toMatchObject({
      outcome: { $case: 'kernelDied', value: { exitCode: 7, signal: '' } },
      statePreserved: false,
      bySelf: true,
    });
    expect(log.text()).toBe('last words\n');
    expect(sessions.kernels.get('one')).toMatchObject({ status: 'dead', generation: 1 });

    await expect(sessions.begin('1', { kernelGeneration: 1 })).rejects.toMatchObject({ reason: 'KERNEL_STATE_LOST' });
    const next = await sessions.run('print("kept" in dir())');
    expect(next.log.text()).toBe('False\n');
    expect(next.log.of('started')).toMatchObject([{ kernelGeneration: 2 }]);
  });

  it('is told when something kills it, during a cell and between cells', async () => {
    const { work } = await sessions.begin('import os, signal; os.kill(os.getpid(), signal.SIGKILL)');
    expect(await work.ended).toMatchObject({
      outcome: { $case: 'kernelDied', value: { exitCode: undefined, signal: 'SIGKILL' } },
      statePreserved: false,
    });
    await sessions.run('1');
    const second = sessions.runner().spawned.at(-1);
    second?.kill('SIGKILL');
    await second?.exited;
    expect((await sessions.run('1')).log.of('started')).toMatchObject([{ kernelGeneration: 3 }]);
  });

  it('tells of a crash where it happened', async () => {
    const { log, end } = await sessions.run('import ctypes; ctypes.string_at(0)');
    expect(end.outcome).toMatchObject({ $case: 'kernelDied', value: { signal: 'SIGSEGV' } });
    expect(log.text('stderr')).toContain('Segmentation fault');
  });

  it('is given up by whoever stops its cell, when it can no longer say that it is idle', async () => {
    const { work } = await sessions.begin("get_ipython().kernel.iopub_thread.stop(); open('done', 'w')");
    const done = path.join(sessions.runner().workspace, 'done');
    while (!existsSync(done)) await new Promise((resolve) => setTimeout(resolve, 10));
    work.stop(500);
    expect(await work.ended).toMatchObject({
      outcome: { $case: 'kernelDied', value: { signal: 'SIGKILL' } },
      statePreserved: false,
      bySelf: false,
    });
    expect((await sessions.run('print("again")')).log.text()).toBe('again\n');
  });

  it('is replaced when it has lost the means to answer', async () => {
    const { end } = await sessions.run(
      'session = get_ipython().kernel.session; send = session.send\n' +
        "session.send = lambda to, what, *a, **k: None if what == 'execute_reply' else send(to, what, *a, **k)",
    );
    expect(end).toMatchObject({ outcome: { $case: 'kernelDied' }, statePreserved: false });
    expect((await sessions.run('print("again")')).log.text()).toBe('again\n');
  });

  it('goes on after an interrupt, with its state', async () => {
    const { log, work } = await sessions.begin('kept = 1\nprint("running")\nwhile True: pass');
    await log.printed('running');
    work.interrupt();
    expect(await work.ended).toMatchObject({ outcome: RAISED, statePreserved: true });
    expect(log.of('error')).toMatchObject([{ name: 'KeyboardInterrupt' }]);
    const trace = log.of('error')[0]?.traceback.join('\n') ?? '';
    expect(trace).toContain('Cell');
    expect(trace).not.toContain('shipyard_kernel');
    expect((await sessions.run('print(kept)')).log.text()).toBe('1\n');
  });

  it.each([
    ['waits', 'print("running", flush=True); await asyncio.sleep(600)'],
    ['waits alone', 'ticking.cancel(); print("running", flush=True); await asyncio.sleep(600)'],
    ['runs', 'await asyncio.sleep(0); print("running", flush=True)\nwhile True: pass'],
    [
      'waits for tasks that run',
      'async def busy():\n  print("running", flush=True)\n  while True: pass\nawait asyncio.gather(busy(), busy())',
    ],
  ])('goes on after an interrupt of code with a top-level await that %s', async (_what, code) => {
    await sessions.run(
      'import asyncio; kept = 1\nasync def tick():\n  while True: await asyncio.sleep(0.01)\nticking = asyncio.create_task(tick())',
    );
    const { log, work } = await sessions.begin(code);
    await log.printed('running');
    work.interrupt();
    expect(await work.ended).toMatchObject({ outcome: RAISED, statePreserved: true });
    expect(log.of('error')[0]?.name).toMatch(/^(KeyboardInterrupt|CancelledError)$/);
    expect((await sessions.run('print(kept, ticking.done() and not ticking.cancelled())')).log.text()).toBe(
      '1 False\n',
    );
  });

  it('goes on after an interrupt of code that waits for the loop alone', async () => {
    const { log, work } = await sessions.begin(
      'import asyncio; print("running", flush=True); await asyncio.sleep(600)',
    );
    await log.printed('running');
    work.interrupt();
    expect(await work.ended).toMatchObject({ outcome: RAISED, statePreserved: true });
    expect((await sessions.run('1')).end.outcome).toEqual(COMPLETED);
  });

  it('is stopped with its state where code with a top-level await is too late', async () => {
    const { log, work } = await sessions.begin('import asyncio; kept = 1; print("on"); await asyncio.sleep(600)');
    await log.printed('on');
    work.stop(5000);
    expect(await work.ended).toMatchObject({ outcome: RAISED, statePreserved: true });
    expect((await sessions.run('print(kept)')).log.text()).toBe('1\n');
  });

  it('works on beside a task factory of the code', async () => {
    await sessions.run(
      'import asyncio; asyncio.get_event_loop().set_task_factory(lambda loop, coro: asyncio.Task(coro, loop=loop))',
    );
    expect((await sessions.run('print("on")')).log.text()).toBe('on\n');
  });

  it('is not made to speak of itself by interrupts that follow each other', async () => {
    for (let round = 0; round < 10; round++) {
      const { log, work } = await sessions.begin('while True: print(1)');
      for (let times = 0; times < 6; times++) work.interrupt();
      expect((await work.ended).outcome).toEqual(RAISED);
      expect(log.text().replace(/^(1\n)*1?$/, '')).toBe('');
    }
  });

  it('can be interrupted after a cell that took SIGINT for itself', async () => {
    await sessions.run('import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)');
    const { log, work } = await sessions.begin('print("running")\nwhile True: pass');
    await log.printed('running');
    work.interrupt();
    expect((await work.ended).outcome).toEqual(RAISED);
  });

  it('is interrupted once where the code keeps the interpreter to itself', async () => {
    const mark = path.join(sessions.runner().workspace, 'begun');
    const code = `import re
try: open("begun", "w").close(); re.match("(a+)+$", "a" * 40 + "b")
except KeyboardInterrupt: print("once", input("go on? "))`;
    const { log, work } = await sessions.begin(code, { allowStdin: true });
    while (!existsSync(mark)) await delay(5); // the kernel cannot say it
    work.interrupt();
    // A second one would have been sent with what the kernel said before it asked.
    await log.next('inputRequest');
    work.answerInput?.(log.lastSequence, 'yes');
    expect((await work.ended).outcome).toEqual(COMPLETED);
    expect(log.text()).toBe('once yes\n');
  });

  it('takes an interrupt that comes right with the cell, over and over', async () => {
    for (let round = 0; round < 10; round++) {
      const { work } = await sessions.begin('import time; time.sleep(30)');
      work.interrupt();
      expect(await work.ended).toMatchObject({ outcome: RAISED, statePreserved: true });
    }
  });

  it('always ends a cell that is interrupted about when it ends by itself', async () => {
    for (let round = 0; round < 30; round++) {
      const { work } = await sessions.begin('1');
      setTimeout(() => work.interrupt(), round % 5);
      expect(['completed', 'raised']).toContain((await work.ended).outcome.$case);
    }
    expect((await sessions.run('1')).end.outcome).toEqual(COMPLETED);
  });

  it('survives a stop that the code obeys', async () => {
    const { work } = await sessions.begin('import time; time.sleep(30)');
    work.stop(5000);
    expect(await work.ended).toMatchObject({ outcome: RAISED, statePreserved: true, bySelf: false });
  });

  it('ends with a stop that the code does not obey, and the next cell starts another', async () => {
    const { log, work } = await sessions.begin(
      'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print("stuck")\nwhile True: pass',
    );
    await log.printed('stuck');
    work.stop(200);
    expect(await work.ended).toMatchObject({
      outcome: { $case: 'kernelDied', value: { signal: 'SIGKILL' } },
      statePreserved: false,
      kernelRestarted: false,
      bySelf: false,
    });
    expect((await sessions.run('print("again")')).log.text()).toBe('again\n');
  });

  it('is replaced where it answered a cell and can never say that it is idle', async () => {
    // It ignores the stop's interrupt, which could come before the socket is closed.
    const { log, work } = await sessions.begin(
      'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print("last", flush=True)\n' +
        'get_ipython().kernel.iopub_socket.close()',
    );
    await log.printed('last');
    work.stop(2000);
    expect(await work.ended).toMatchObject({ outcome: { $case: 'kernelDied' }, statePreserved: false });
    expect((await sessions.run('print("again")')).log.text()).toBe('again\n');
  });

  it('can be interrupted while it waits for input', async () => {
    const { log, work } = await sessions.begin('input()', { allowStdin: true });
    await log.next('inputRequest');
    work.interrupt();
    expect((await work.ended).outcome).toEqual(RAISED);
  });

  it('ends with a restart, and the next generation is ready when the restart answers', async () => {
    const { log, work } = await sessions.begin('print("running")\nwhile True: pass');
    await log.printed('running');
    const restarted = sessions.kernels.restart('one');
    expect(await work.ended).toMatchObject({ kernelRestarted: true, statePreserved: false });
    const next = sessions.run('print("new")');
    expect(await restarted).toMatchObject({ generation: 2, workspace: sessions.runner().workspace });
    expect((await next).log.of('started')).toMatchObject([{ kernelGeneration: 2 }]);
  });

  it('lets an idle kernel run its exit handlers before a shutdown', async () => {
    await sessions.run('import atexit; atexit.register(lambda: open("left.txt", "w").close())');
    expect(await sessions.kernels.shutdown('one')).toBe(true);
    expect(readdirSync(sessions.runner().workspace)).toContain('left.txt');
    expect(sessions.kernels.get('one')).toBeUndefined();
    expect(await sessions.kernels.shutdown('one')).toBe(false);
  });

  it('leaves no process and no socket behind when its session ends', async () => {
    const { work } = await sessions.begin('while True: pass');
    await sessions.kernels.endSession('one');
    expect(await work.ended).toMatchObject({ kernelRestarted: true });
    expect(readdirSync(sessions.runner().socketDir.outside)).toEqual([]);
    expect(sessions.kernels.list()).toEqual([]);
    expect((await sessions.run('1')).log.of('started')).toMatchObject([{ kernelGeneration: 2 }]);
  });

  it('tells listeners of every change', async () => {
    await sessions.run('1');
    await sessions.kernels.shutdown('one');
    const seen = sessions.changes.map((kernel) => kernel.status);
    expect(seen.filter((status, i) => status !== seen[i - 1])).toEqual(['starting', 'idle', 'busy', 'idle', 'dead']);
  });

  it('gives up a cell that is stopped while its kernel starts', async () => {
    const begun = sessions.begin('1');
    const other = sessions.begin('1', { sessionId: 'two' });
    await sessions.kernels.endSession('one');
    expect((await (await begun).work.ended).outcome.$case).toBe('couldNotStart');
    await (
      await other
    ).work.ended;
  });

  it('says why a kernel did not start', async () => {
    const broken = new TestSessions({ python: '/bin/false' });
    try {
      const { end, log } = await broken.run('1');
      expect(end).toMatchObject({
        outcome: { $case: 'couldNotStart', value: { reason: "the kernel's process exited with code 1" } },
        statePreserved: false,
      });
      expect(log.events).toEqual([]);
      await expect(broken.kernels.start('one')).rejects.toMatchObject({ reason: 'KERNEL_START_FAILED' });
    } finally {
      await broken.close();
    }
  });
});

describe('a stock kernel', () => {
  it('serves where our launcher does not start, and says that it is less exact', async () => {
    const supportDir = mkdtempSync(path.join(tmpdir(), 'ship-support-'));
    for (const file of ['kernel_launcher.py', 'module_store.py'])
      cpSync(path.join(SUPPORT_DIR, file), path.join(supportDir, file));
    const sessions = new TestSessions({ supportDir });
    try {
      const { log, end } = await sessions.run('print("hello")\n1 + 1');
      expect(JSON.stringify(sessions.warnings)).toContain('shipyard_kernel');
      expect(log.of('started')).toMatchObject([{ byteExact: false, lossless: false }]);
      expect(log.text()).toBe('hello\n');
      expect(log.of('result')).toHaveLength(1);
      expect(end.outcome).toEqual(COMPLETED);

      const stuck = await sessions.begin('print("running")\nwhile True: pass');
      await stuck.log.printed('running');
      stuck.work.interrupt();
      expect((await stuck.work.ended).outcome).toEqual(RAISED);

      const asking = await sessions.begin('print(input("?"))', { allowStdin: true });
      await asking.log.next('inputRequest');
      asking.work.answerInput?.(asking.log.lastSequence, 'answer');
      await asking.work.ended;
      expect(asking.log.text()).toBe('answer\n');
    } finally {
      await sessions.close();
      rmSync(supportDir, { recursive: true });
    }
  });
});
