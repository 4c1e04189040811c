import { PassThrough } from 'node:stream';
import type { SessionRunner } from '../workspace/session-runner.js';
import type { Work, WorkKind } from '../executions/execution.js';
import {
  availableSandboxes,
  runBash,
  startTestRunner,
  type TestRunner,
} from '../workspace/testing/start-test-runner.js';
import { createCommandKind } from './command-kind.js';
import { command, RecordedExecution } from './testing/recorded-execution.js';

describe.each(availableSandboxes())('a command in %s', (kind) => {
  let test: TestRunner;
  let commands: WorkKind;
  let background: RecordedExecution;

  beforeAll(async () => {
    test = await startTestRunner(kind);
    background = new RecordedExecution(command({}));
    commands = createCommandKind({ sessions: test.sessions, background: () => background });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const start = async (
    fields: Parameters<typeof command>[0],
  ): Promise<{ execution: RecordedExecution; work: Work }> => {
    const execution = new RecordedExecution(command(fields));
    return { execution, work: await commands.begin(execution) };
  };
  const run = async (fields: Parameters<typeof command>[0]) => {
    const { execution, work } = await start(fields);
    const end = await work.ended;
    return { execution, end, stdout: execution.text('stdout'), stderr: execution.text('stderr') };
  };
  const exited = (code: number): object => ({ $case: 'exited', value: { code } });

  it('tells what it wrote and how it ended', async () => {
    const { execution, end, stdout, stderr } = await run({
      command: 'echo out; echo err >&2; exit 3',
      env: { A: 'b' },
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'out\n', stderr: 'err\n' });
    expect(end).toEqual({ outcome: exited(3), detachedOutput: false, oom: false });
    expect(execution.events).toEqual([
      {
        $case: 'started',
        value: {
          startTime: expect.any(Date) as Date,
          pid: expect.any(Number) as number,
          kernelGeneration: 0,
          byteExact: true,
          lossless: true,
        },
      },
    ]);
    expect((await run({ command: 'kill -USR1 $$' })).end.outcome).toEqual({
      $case: 'signaled',
      value: { name: 'SIGUSR1' },
    });
    expect((await run({ argv: ['printf', '%s|', 'a b', '$HOME'] })).stdout).toBe('a b|$HOME|');
    expect((await run({ command: 'no-such-program' })).end.outcome).toEqual(exited(127));
  });

  it('that cannot start says why and has not started', async () => {
    const { execution, end } = await run({ argv: ['no-such-program'] });
    expect(end.outcome).toEqual({
      $case: 'couldNotStart',
      value: { reason: expect.stringContaining("No such file or directory: 'no-such-program'") as string },
    });
    expect(execution.events).toEqual([]);
    expect((await run({ command: 'touch /tmp/ran; touch ran', cwd: 'missing' })).end.outcome).toEqual({
      $case: 'couldNotStart',
      value: { reason: "cannot enter [Errno 2] No such file or directory: 'missing'" },
    });
    expect((await runBash(test.runner, 'ls ran')).exit).toEqual({ kind: 'exited', code: 2 });
    await expect(start({ command: 'pwd', cwd: '..' })).rejects.toMatchObject({ reason: 'PATH_OUTSIDE_WORKSPACE' });
  });

  it('that is stopped before it began does not begin', async () => {
    const work = await commands.begin(
      new RecordedExecution(command({ command: 'true' }), { signal: AbortSignal.abort() }),
    );
    expect((await work.ended).outcome.$case).toBe('couldNotStart');
  });

  it('takes input as far as the program reads', async () => {
    const { execution, work } = await start({ command: 'until [ -e go ]; do sleep 0.01; done; wc -c', stdin: true });
    const data = Buffer.alloc(1_000_000, 'x');
    let sent = 0;
    let refused = 0;
    while (sent < data.length) {
      const taken = work.writeInput!(data.subarray(sent));
      sent += taken;
      if (taken === 0 && refused++ === 0) await (await start({ command: 'touch go' })).work.ended;
      await new Promise((resolve) => setTimeout(resolve, taken === 0 ? 5 : 0));
    }
    work.endInput!();
    expect((await work.ended).outcome).toEqual(exited(0));
    expect(execution.text('stdout').trim()).toBe('1000000');
    expect(refused).toBeGreaterThan(0);
    expect(work.writeInput!(data)).toBe(data.length);
    expect(typeof (await start({ command: 'true' })).work.writeInput).toBe('undefined');
  });

  it('that closes its input early does no harm', async () => {
    const { work } = await start({ command: 'exec <&-; sleep 0.1', stdin: true });
    for (let round = 0; round < 20; round++) {
      work.writeInput!(Buffer.alloc(65_536));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect((await work.ended).outcome).toEqual(exited(0));
  });

  it('has ended although a child holds its output, which then goes to the background', async () => {
    const { end, stdout } = await run({
      command: 'echo first; (sleep 0.3; echo late; sleep 0.1; echo later >&2) & exit 2',
    });
    expect({ end, stdout }).toMatchObject({ end: { outcome: exited(2), detachedOutput: true }, stdout: 'first\n' });
    await background.until('stdout', 'late\n');
    await background.until('stderr', 'later\n');
  });

  it('has ended only after the last of what it wrote, although its exit is told earlier', async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const process = {
      pid: 7,
      stdout,
      stderr,
      exited: Promise.resolve({ kind: 'exited', code: 0 }),
      kill: () => undefined,
    };
    const runner = { spawn: () => Promise.resolve(process) } as unknown as SessionRunner;
    const fake = createCommandKind({
      sessions: { runner: () => Promise.resolve(runner) },
      background: () => background,
    });
    const execution = new RecordedExecution(command({ command: 'true' }));
    const work = await fake.begin(execution);
    for (const text of ['one ', 'two ', 'three']) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      stdout.write(text);
    }
    stdout.end();
    stderr.end();
    expect(await work.ended).toEqual({ outcome: exited(0), detachedOutput: false, oom: false });
    expect(execution.text('stdout')).toBe('one two three');
  });

  it('ends by SIGTERM when it is stopped, and tells the truth about a program that traps it', async () => {
    const plain = await start({ command: 'sleep 60' });
    plain.work.stop(5_000);
    expect((await plain.work.ended).outcome).toEqual({ $case: 'signaled', value: { name: 'SIGTERM' } });
    const trapping = await start({ command: 'trap "echo bye; exit 0" TERM; echo ready; sleep 60 & wait' });
    await trapping.execution.until('stdout', 'ready');
    trapping.work.stop(5_000);
    expect((await trapping.work.ended).outcome).toEqual(exited(0));
    expect(trapping.execution.text('stdout')).toBe('ready\nbye\n');
  });

  it('is killed with its whole tree when it does not end in time', async () => {
    const { execution, work } = await start({
      command:
        'trap "" TERM; setsid -f sleep 3001; (trap "" TERM; sleep 3001 >/dev/null 2>&1) & setsid -f bash -c "exec >/dev/null 2>&1; sleep 3001"; echo ready; sleep 3001; sleep 3001',
    });
    await execution.until('stdout', 'ready');
    const began = performance.now();
    work.stop(60_000);
    work.stop(200);
    const end = await work.ended;
    expect(end.outcome).toEqual({ $case: 'signaled', value: { name: 'SIGKILL' } });
    expect(performance.now() - began).toBeLessThan(5_000);
    const left = 'while pgrep -f "^sleep 3001"; do sleep 0.05; done >/dev/null; echo none';
    expect((await runBash(test.runner, left)).stdout).toBe('none\n');
  });

  it('that is stopped by a signal ends all the same', async () => {
    const { work } = await start({ command: 'kill -STOP $$; echo continued' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    work.stop(5_000);
    expect((await work.ended).outcome).toEqual({ $case: 'signaled', value: { name: 'SIGTERM' } });
  });

  it('is interrupted as by Ctrl-C', async () => {
    const { work } = await start({ argv: ['sleep', '60'] });
    work.interrupt();
    expect((await work.ended).outcome).toEqual({ $case: 'signaled', value: { name: 'SIGINT' } });
  });

  it('waits for a log that has no room', async () => {
    const execution = new RecordedExecution(command({ command: 'head -c 50000000 /dev/zero; echo x > finished' }), {
      keep: false,
    });
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    execution.room = () => gate;
    const work = await commands.begin(execution);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(execution.bytes.stdout).toBeLessThan(1_000_000);
    expect((await runBash(test.runner, 'cat finished')).stdout).toBe('');
    execution.room = undefined;
    open();
    expect((await work.ended).outcome).toEqual(exited(0));
    expect(execution.bytes.stdout).toBe(50_000_000);
  });
});
