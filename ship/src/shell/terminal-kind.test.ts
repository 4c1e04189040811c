import { availableSandboxes, startTestRunner, type TestRunner } from '../workspace/testing/start-test-runner.js';
import { createTerminalKind } from './terminal-kind.js';
import { RecordedExecution, terminal } from './testing/recorded-execution.js';

describe.each(availableSandboxes())('a terminal in %s', (kind) => {
  let test: TestRunner;

  beforeAll(async () => {
    test = await startTestRunner(kind);
  });
  afterAll(() => test[Symbol.asyncDispose]());

  const start = async (fields: Parameters<typeof terminal>[0]) => {
    const execution = new RecordedExecution(terminal(fields));
    return { execution, work: await createTerminalKind(test).begin(execution) };
  };
  const exited = (code: number): object => ({ $case: 'exited', value: { code } });

  it('shows everything up to its end', async () => {
    const { execution, work } = await start({
      command: 'stty size; echo err >&2; exit 6',
      size: { columns: 132, rows: 50 },
    });
    expect((await work.ended).outcome).toEqual(exited(6));
    expect(execution.text('pty')).toBe('50 132\r\nerr\r\n');
    expect(execution.events.map((event) => event.$case)).toEqual(['started']);
  });

  it('is an interactive bash of 80 by 24 where nothing is asked for', async () => {
    const { execution, work } = await start({});
    work.writeInput!(Buffer.from('stty size; tty -s && echo is a tty; exit 3\n'));
    expect((await work.ended).outcome).toEqual(exited(3));
    expect(execution.text('pty')).toMatch(/24 80\r\nis a tty\r\n/);
  });

  it('is resized and interrupted by its user', async () => {
    const { execution, work } = await start({
      command:
        'trap "stty size" WINCH; trap "echo int" INT; echo ready; until read -t 0.1 -r line; do :; done; echo "<$line>"',
    });
    await execution.until('pty', 'ready');
    work.resize!(100, 33);
    await execution.until('pty', '33 100');
    work.interrupt();
    await execution.until('pty', 'int');
    work.writeInput!(Buffer.from('last\n'));
    expect((await work.ended).outcome).toEqual(exited(0));
    expect(execution.text('pty')).toContain('<last>');
  });

  it('whose input ends sees Ctrl-D', async () => {
    const { execution, work } = await start({ command: 'echo ready; cat' });
    await execution.until('pty', 'ready');
    work.writeInput!(Buffer.from('line\n'));
    work.endInput!();
    expect((await work.ended).outcome).toEqual(exited(0));
    expect(execution.text('pty')).toBe('ready\r\nline\r\nline\r\n');
  });

  it('is hung up when it is stopped, and killed where that does not help', async () => {
    const hung = await start({ command: 'sleep 60' });
    hung.work.stop(10_000);
    expect((await hung.work.ended).outcome).toEqual({ $case: 'signaled', value: { name: 'SIGHUP' } });
    const stubborn = await start({ command: 'trap "" HUP; echo ready; sleep 60; sleep 60' });
    await stubborn.execution.until('pty', 'ready');
    stubborn.work.stop(100);
    expect((await stubborn.work.ended).outcome).toEqual({ $case: 'signaled', value: { name: 'SIGKILL' } });
  });

  it('that was left stopped by Ctrl-S still ends', async () => {
    const { execution, work } = await start({ command: 'echo ready; sleep 0.3; echo unseen' });
    await execution.until('pty', 'ready');
    work.writeInput!(Buffer.from('\x13'));
    await new Promise((resolve) => setTimeout(resolve, 600));
    work.stop(50);
    expect((await work.ended).outcome.$case).toBe('signaled');
  });

  it('that cannot start says why', async () => {
    const { execution, work } = await start({ command: 'true', cwd: 'missing' });
    expect((await work.ended).outcome).toMatchObject({ $case: 'couldNotStart' });
    expect(execution.events).toEqual([]);
  });
});
