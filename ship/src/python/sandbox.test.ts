import { execFileSync } from 'node:child_process';
import { availableSandboxes, startTestRunner, type TestRunner } from '../workspace/testing/start-test-runner.js';
import { testPython } from './testing/local-session-runner.js';
import { TestSessions } from './testing/test-session.js';

/** The real runner, in each sandbox that can be had here. */
describe.each(availableSandboxes())('a kernel in a sandbox of kind %s', (kind) => {
  let runner: TestRunner;
  let sessions: TestSessions;
  beforeAll(async () => {
    const executable = testPython();
    const prefixes = ['prefix', 'base_prefix'].map((name) =>
      execFileSync(executable, ['-c', `import sys; print(sys.${name}, end="")`], { encoding: 'utf8' }),
    );
    runner = await startTestRunner(kind, { python: { executable, prefixes } });
    sessions = new TestSessions();
    sessions.given.set('one', runner.runner);
  });
  afterAll(async () => {
    await sessions.close();
    await runner[Symbol.asyncDispose]();
  });

  it('is ours, in the workspace, as the session sees it', async () => {
    const { log } = await sessions.run('import os; print(os.getcwd(), os.environ["HOME"]); os.system("echo child")');
    expect(sessions.warnings).toEqual([]);
    expect(log.of('started')).toMatchObject([{ byteExact: true, lossless: true }]);
    expect(log.text()).toBe(`${runner.runner.workspace} ${runner.runner.home}\nchild\n`);
  });

  it('draws with the fonts that the home sets', async () => {
    const { log, end } = await sessions.run(
      'import matplotlib\nplt.plot([1]); print(matplotlib.rcParams["axes.unicode_minus"])',
    );
    expect(end.outcome.$case).toBe('completed');
    expect(log.text()).toBe('False\n');
    expect(log.text('stderr')).toBe('');
    expect(log.of('display')).toHaveLength(1);
  });

  it('has pip', async () => {
    const { log, end } = await sessions.run('%pip --version');
    expect(end.outcome.$case).toBe('completed');
    expect(log.text()).toMatch(/pip \d+/);
  });

  it('takes all that it started along, also when it dies by itself', async () => {
    const { end } = await sessions.run('import os, subprocess; subprocess.Popen(["sleep", "62"]); os._exit(3)');
    expect(end.outcome).toMatchObject({ $case: 'kernelDied', value: { exitCode: 3 } });
    const left = await sessions.run('!ps -eo args 2>/dev/null | grep -c "[s]leep 62"');
    expect(left.log.text().trim()).toBe('0');
  });

  it('can be interrupted, and killed with all that it started', async () => {
    const first = await sessions.begin('import time; print("running"); time.sleep(60)');
    await first.log.printed('running');
    first.work.interrupt();
    expect(await first.work.ended).toMatchObject({ outcome: { $case: 'raised' }, statePreserved: true });

    const second = await sessions.begin(
      'print("running")\nos.system("trap \'\' INT; sleep 61")\nwhile True: os.system("trap \'\' INT; sleep 61")',
    );
    await second.log.printed('running');
    second.work.stop(200);
    expect((await second.work.ended).outcome).toMatchObject({ $case: 'kernelDied', value: { signal: 'SIGKILL' } });
    const left = await sessions.run('!ps -eo args 2>/dev/null | grep -c "[s]leep 61"');
    expect(left.log.text().trim()).toBe('0');
  });
});
