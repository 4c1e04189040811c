import { testPythons } from './testing/local-session-runner.js';
import { TestSessions } from './testing/test-session.js';

const COMPLETED = { $case: 'completed', value: {} };

describe.each(testPythons())('the output of a Python cell, %s', (_name, python) => {
  let sessions: TestSessions;
  beforeAll(() => (sessions = new TestSessions({ python })));
  afterAll(() => sessions.close());

  it('is complete over 500 short cells', async () => {
    const printed: string[] = [];
    for (let i = 0; i < 500; i++) printed.push((await sessions.run(`print(${i})`)).log.text());
    expect(printed).toEqual(Array.from({ length: 500 }, (_, i) => `${i}\n`));
  });

  it('says nothing of the results that IPython forgets', async () => {
    await sessions.run('import warnings\nwarnings.simplefilter("always")\nget_ipython().displayhook.cache_size = 5');
    for (let i = 0; i < 12; i++) expect((await sessions.run(`'result ${i}'`)).log.text('stderr')).toBe('');
    expect((await sessions.run('print(len(Out))')).log.text()).toBe('4\n');
  });

  it('is complete over 20,000 prints on two streams while the log is slow', async () => {
    let open = () => {};
    const hold = new Promise<void>((resolve) => (open = resolve));
    const { log, work } = await sessions.begin(
      'import sys\nfor i in range(20000):\n  print(i)\n  if i % 2: print(-i, file=sys.stderr)',
      { hold },
    );
    await log.printed('0\n');
    open();
    log.hold = undefined;
    expect((await work.ended).outcome).toEqual(COMPLETED);
    expect(log.text()).toBe(Array.from({ length: 20000 }, (_, i) => `${i}\n`).join(''));
    expect(log.text('stderr')).toBe(Array.from({ length: 10000 }, (_, i) => `${-(2 * i + 1)}\n`).join(''));
  });

  it('is complete for 10 MB', async () => {
    const { log } = await sessions.run('for i in range(100000): print("x" * 99)');
    expect(log.bytes().length).toBe(10_000_000);
    const one = await sessions.run('print("é" * 5_000_000, end="")');
    expect(one.log.bytes().equals(Buffer.from('é'.repeat(5_000_000)))).toBe(true);
  });

  it('makes a writer wait that is faster than the log, instead of piling up in memory', async () => {
    let open = () => {};
    const hold = new Promise<void>((resolve) => (open = resolve));
    const { log, work } = await sessions.begin(
      'import time\ndone = []\nfor i in range(1000): print("x" * 65535); done.append(i)',
      { hold },
    );
    await log.printed('x');
    const bounded = 40 * 1024 * 1024;
    // The log takes nothing; an interrupt still gets through to the writer that waits.
    const timer = setTimeout(() => work.interrupt(), 1500);
    const ended = work.ended;
    setTimeout(() => {
      open();
      log.hold = undefined;
    }, 2500);
    expect((await ended).outcome).toEqual({ $case: 'raised', value: {} });
    clearTimeout(timer);
    const { log: count } = await sessions.run('print(len(done) * 65536)');
    expect(Number(count.text())).toBeLessThan(bounded);
    expect(log.bytes().length).toBeGreaterThanOrEqual(Number(count.text()));
  });

  it('leaves nothing in the memory of the kernel', async () => {
    const { log } = await sessions.run(
      'import resource\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n' +
        'for i in range(150): print("x" * 999_999)\n' +
        'grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before',
    );
    expect(log.bytes().length).toBe(150_000_000);
    const grown = await sessions.run('print(grown)');
    expect(Number(grown.log.text())).toBeLessThan(60 * 1024); // KiB
  });

  it('is byte exact, also where it is not UTF-8', async () => {
    const { log } = await sessions.run(
      'import sys, os\nprint("a", end=""); sys.stdout.buffer.write(bytes(range(256))); os.write(1, b"\\xfe"); print("z", end="")',
    );
    expect(log.bytes()).toEqual(
      Buffer.concat([
        Buffer.from('a'),
        Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
        Buffer.from([0xfe]),
        Buffer.from('z'),
      ]),
    );
  });

  it('survives lone surrogates: file names come out as their bytes, others are shown', async () => {
    const { log, end } = await sessions.run('print("\\udcff \\ud800")');
    expect(end.outcome).toEqual(COMPLETED);
    expect(log.bytes()).toEqual(Buffer.concat([Buffer.from([0xff]), Buffer.from(' \\ud800\n')]));
  });

  it('keeps the order of print, file descriptors, children and C libraries', async () => {
    for (let round = 0; round < 20; round++) {
      const { log } = await sessions.run(
        'import os, subprocess, sys\nprint(1); os.write(1, b"2\\n"); print(3); os.system("echo 4"); print(5)\n' +
          'subprocess.run(["echo", "6"]); print(7); os.write(sys.stdout.fileno(), b"8\\n"); print(9); os.system("echo 10")',
      );
      expect(log.text()).toBe('1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n');
    }
    const { log } = await sessions.run('import ctypes; ctypes.CDLL(None).puts(b"from C")');
    expect(log.text()).toBe('from C\n');
  });

  it('of a child that is larger than a pipe belongs to the cell', async () => {
    const { log } = await sessions.run('import os; os.system("head -c 3000000 /dev/zero")');
    expect(log.bytes()).toEqual(Buffer.alloc(3_000_000));
  });

  it('arrives while the cell runs', async () => {
    const { log, work } = await sessions.begin('import time; print("early"); time.sleep(1000)');
    await log.printed('early');
    work.stop(500);
    await work.ended;
  });

  it('arrives while the cell runs, also where the code has closed the timer behind it', async () => {
    // The timer runs when it is closed: it began with the cell.
    await sessions.run(`import os
for fd in os.listdir("/proc/self/fd"):
    try:
        if "timerfd" in os.readlink("/proc/self/fd/" + fd): os.close(int(fd))
    except OSError: pass`);
    for (const word of ['early', 'earlier']) {
      const { log, work } = await sessions.begin(`import time; print("${word}"); time.sleep(1000)`);
      await log.printed(word);
      work.stop(500);
      await work.ended;
    }
  });

  it('of a thread, a task and a display of an ended cell goes to the background, never into the next cell', async () => {
    const background = sessions.background();
    await sessions.run(
      'import threading, asyncio, time\ngo = threading.Event()\n' +
        'def late():\n  go.wait(); print("from a thread"); display("shown late")\n  inner = threading.Thread(target=print, args=("from its thread",)); inner.start(); inner.join(); told.set()\n' +
        'told = threading.Event()\nthreading.Thread(target=late).start()\n' +
        'async def task():\n  await asyncio.sleep(0.05); print("from a task")\n_task = asyncio.create_task(task())',
    );
    const { log } = await sessions.run('go.set(); told.wait(); await _task; print("mine")');
    expect(log.text()).toBe('mine\n');
    expect(log.of('display')).toEqual([]);
    await background.printed('from its thread');
    await background.printed('from a task');
    expect(background.text()).toContain('from a thread\n');
    expect(JSON.stringify(background.of('display'))).toContain('shown late');
  });

  it('of a detached child goes to the background, never into the next cell', async () => {
    const background = sessions.background();
    await sessions.run(
      'import subprocess; child = subprocess.Popen("read line; echo from a child", shell=True, stdin=subprocess.PIPE)',
    );
    const { log } = await sessions.run('child.communicate(b"go\\n"); print("mine")');
    expect(log.text()).toBe('mine\n');
    await background.printed('from a child\n');
  });

  const LATE = 'read line < go; echo late; echo > done';
  it.each([
    ['a child in the background', `import subprocess; subprocess.Popen("${LATE}", shell=True)`],
    [
      "a daemon, which is nobody's child",
      'if not os.fork():\n' +
        `  if not os.fork(): os.setsid(); os.execvp("sh", ["sh", "-c", "${LATE}"])\n` +
        '  os._exit(0)\nos.wait()',
    ],
    ['a child of a C library', `import ctypes; ctypes.CDLL(None).system(b"(${LATE}) &")`],
    [
      'a child of a thread that a cell before it started',
      `import subprocess; asked.set(); started.wait()`,
      'import threading, subprocess\nasked, started = threading.Event(), threading.Event()\n' +
        `def begin():\n  asked.wait(); subprocess.Popen("${LATE}", shell=True); started.set()\n` +
        'threading.Thread(target=begin).start()',
    ],
    [
      'a descriptor that a thread kept',
      'import threading\nkept = os.dup(1)\n' +
        'def late():\n  open("go").read(); os.write(kept, b"late\\n"); open("done", "w").close()\n' +
        'threading.Thread(target=late).start()',
    ],
  ])('of %s never lands in the next cell', async (_what, code, before = '') => {
    const background = sessions.background();
    const seen = background.text().split('late\n').length;
    if (before) await sessions.run(before);
    const make = 'import os\nfor name in ("go", "done"):\n  if not os.path.exists(name): os.mkfifo(name)\n';
    const { log: first } = await sessions.run(`${make}${code}\nprint("first")`);
    const { log: next } = await sessions.run(
      'print("mine"); open("go", "w").write("now\\n"); open("done").read(); print("mine")',
    );
    expect([first.text(), next.text()]).toEqual(['first\n', 'mine\nmine\n']);
    while (background.text().split('late\n').length === seen) await background.nextOutput();
  });

  it('of a thread comes complete and in order while cell after cell ends', async () => {
    const background = sessions.background();
    await sessions.run(
      'import threading, time\nover, go = False, threading.Event()\n' +
        'def count():\n  n = 0; go.wait()\n  while not over:\n    print(f"[{n}]"); n += 1; time.sleep(0.0002)\n  print("counted", n)\n' +
        'threading.Thread(target=count).start()',
    );
    await sessions.run('go.set()');
    for (let i = 0; i < 200; i++) {
      const { log } = await sessions.run(`print("a"); print("b", flush=True); print("c")\n${i}`);
      expect(log.text()).toBe('a\nb\nc\n');
      expect(JSON.stringify(log.of('result'))).toContain(`"${i}"`);
    }
    await sessions.run('over = True');
    await background.printed('counted');
    const text = background.text();
    const counted = text.slice(text.indexOf('[0]\n'));
    const count = Number(/counted (\d+)/.exec(counted)?.[1]);
    expect(counted).toContain(Array.from({ length: count }, (_, n) => `[${n}]\n`).join('') + `counted ${count}\n`);
  });

  it('is complete while the code has a signal handler that could raise', async () => {
    await sessions.run('import signal\nsignal.signal(signal.SIGUSR1, lambda *_: 1 / 0)');
    for (let i = 0; i < 20; i++) {
      const { log } = await sessions.run(`print(${i})\n-${i + 1}`);
      expect(log.text()).toBe(`${i}\n`);
      expect(JSON.stringify(log.of('result'))).toContain(`"-${i + 1}"`);
    }
    await sessions.run('signal.signal(signal.SIGUSR1, signal.SIG_DFL)');
  });

  it('of a pool belongs to the cell that hands the job over', async () => {
    await sessions.run(
      'from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\npool.submit(print, "a").result()',
    );
    const { log } = await sessions.run('pool.submit(print, "b").result()');
    expect(log.text()).toBe('b\n');
  });

  it('of forked children belongs to the cell', async () => {
    const { log } = await sessions.run(
      'import multiprocessing\nchild = multiprocessing.get_context("fork").Process(target=print, args=("child",))\nprint("parent"); child.start(); child.join(); print("parent again")',
    );
    expect(log.text()).toBe('parent\nchild\nparent again\n');
  });

  it('of children that print at once keeps its lines whole, and the last one without an end', async () => {
    const code = [
      'import multiprocessing',
      'def work(n):',
      '    for i in range(200): print(n, i)',
      '    print(n, "done", end="")',
      'children = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(4)]',
      'for child in children: child.start()',
      'for child in children: child.join()',
    ];
    const { log } = await sessions.run(code.join('\n'));
    const lines = log.text().match(/\d \d+\n|\d done/g) ?? [];
    expect(lines.join('').length).toBe(log.text().length);
    expect(new Set(lines).size).toBe(804);
  });

  it('of a child that a cell forks and forgets ends with the cell: it is no second kernel', async () => {
    const code = [
      'import os, sys',
      'child = os.fork()',
      'if child: status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])',
      'print("parent" if child else "child")',
      'child if child else 1',
    ];
    const { log } = await sessions.run(code.join('\n'));
    expect(log.text()).toBe('child\nparent\n');
    expect(log.text('stderr')).toBe('');
    const { log: after } = await sessions.run('print(status)');
    expect(after.text()).toBe('0\n');
  });

  it.each([
    ['sys.exit(3)', 3, ''],
    ['1 / 0', 1, 'ZeroDivisionError'],
    ['sys.exit("why")', 1, 'why'],
  ])('of a forked child that ends with %s comes with its exit code', async (end, code, said) => {
    const { log } = await sessions.run(
      `import os, sys\nchild = os.fork()\nif not child: ${end}\nos.waitstatus_to_exitcode(os.waitpid(child, 0)[1])`,
    );
    expect(JSON.stringify(log.of('result'))).toContain(`"${code}"`);
    expect(log.text('stderr')).toContain(said);
    expect(log.text('stderr')).not.toContain('fork');
  });

  it('goes on, with what the kernel knows, after a cell that took every descriptor', async () => {
    const code = 'import os\nz, fds = 7, []\ntry:\n  while True: fds.append(os.dup(0))\nexcept OSError: print("all")';
    const { log, end } = await sessions.run(code);
    expect([log.text(), end.outcome]).toEqual(['all\n', COMPLETED]);
    for (const then of ['', '[os.close(fd) for fd in fds]; ']) {
      expect((await sessions.run(`${then}print(z)`)).log.text()).toBe('7\n');
    }
  });

  it('goes on after a cell that closed its streams and descriptors', async () => {
    await sessions.run('import sys, os; sys.stdout.close(); os.close(1)');
    const { log } = await sessions.run('print("still"); os.system("echo here")');
    expect(log.text()).toBe('still\nhere\n');
  });
});
