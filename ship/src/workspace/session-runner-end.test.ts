import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { AgentConfig } from '../config.js';
import { startSessionRunner } from './start-session-runner.js';
import {
  availableSandboxes,
  removeBase,
  runBash,
  silentLog,
  startTestRunner,
  TEST_UID,
  testConfig,
} from './testing/start-test-runner.js';

describe.each(availableSandboxes())('the end of a session runner in %s', (kind) => {
  const count = (pattern: string): number => {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.filter((pid) => commandLine(pid).includes(pattern)).length;
  };
  /** A command that nobody else runs: other suites, and this one elsewhere, count the processes of the same machine. */
  const own = (): string => `sleep 2000.${randomInt(1_000_000_000)}`;
  /** The kernel ends a pid namespace a moment after its first process. */
  const noneLeft = async (command: string): Promise<void> => {
    const pattern = command.replace(' ', '\0');
    await until(() => count(pattern) === 0);
    expect(count(pattern)).toBe(0);
  };

  /** What was started for runners of this process: they themselves, and what stands around them. */
  const ownRunners = (): string[] => {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const runners = pids.filter((pid) => commandLine(pid).includes('session_runner.py') && isDescendant(pid));
    expect(runners.length).toBeGreaterThan(0);
    return runners;
  };
  const untilGone = async (pids: readonly string[]): Promise<void> => {
    const living = () => pids.filter((pid) => commandLine(pid).includes('session_runner.py'));
    await until(() => living().length === 0);
    expect(living()).toEqual([]);
  };

  it('by close ends everything and leaves no directory', async () => {
    const test = await startTestRunner(kind);
    const sleep = own();
    const process = await test.runner.spawn({ argv: ['bash', '-c', `setsid -f ${sleep}; ${sleep}`], name: 'x' });
    process.stdout.resume();
    await test.runner.close();
    await test.runner.close();
    await test.runner.gone;
    expect((await process.exited).kind).toBe('lost');
    await noneLeft(sleep);
    expect(readdirSync(join(test.config.runDir, 's'))).toEqual([]);
    await expect(test.runner.spawn({ argv: ['true'], name: 'y' })).rejects.toThrow(StatusError);
    await test[Symbol.asyncDispose]();
  });

  it('by SIGKILL is told by gone, and nothing outlives it', async () => {
    const test = await startTestRunner(kind);
    const sleep = own();
    const process = await test.runner.spawn({ argv: ['bash', '-c', `setsid -f ${sleep}; ${sleep}`], name: 'x' });
    const closed = new Promise((resolve) => process.stdout.once('close', resolve).resume());
    const pending = test.runner.fileOperation('readText', { path: 'x' }).catch((error: unknown) => error);
    await pending;
    const pid = Math.max(...ownRunners().map(Number));
    // An agent in a container may not; the session may.
    if (kind === 'uid') await runBash(test.runner, `kill -9 ${pid}; sleep 10`).catch(() => undefined);
    else global.process.kill(pid, 'SIGKILL');
    await test.runner.gone;
    await closed;
    expect(await process.exited).toEqual({ kind: 'lost' });
    await noneLeft(sleep);
    await test[Symbol.asyncDispose]();
  });

  it('ends its terminals to the last byte', async () => {
    const test = await startTestRunner(kind);
    const terminal = await test.runner.openTerminal({
      argv: ['bash', '-c', 'echo shown; sleep 2004'],
      name: 't',
      columns: 80,
      rows: 24,
      term: 'xterm',
    });
    let shown = '';
    for await (const chunk of terminal.output) {
      shown += String(chunk);
      if (shown === 'shown\r\n') void test.runner.close();
    }
    expect(await terminal.exited).toEqual({ kind: 'lost' });
    expect(shown).toBe('shown\r\n');
    await test[Symbol.asyncDispose]();
  });

  it('by the agent’s death takes everything along', async () => {
    const script = join(import.meta.dirname, 'testing', 'agent-that-dies.ts');
    const sleep = own();
    const agent = spawn(global.process.execPath, ['--import', 'tsx', script, kind, sleep], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    for await (const chunk of agent.stdout) {
      said += String(chunk);
      if (/ready .*\n/.test(said)) break;
    }
    while (count(sleep.replace(' ', '\0')) < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    agent.kill('SIGKILL');
    await noneLeft(sleep);
    removeBase({ runDir: /ready (.*)\n/.exec(said)![1]!, sandbox: { kind: kind === 'uid' ? kind : 'none' } });
  });

  it('follows when code of the session has stopped it', async () => {
    const test = await startTestRunner(kind);
    const runners = ownRunners();
    // Its own answer may be among what never comes.
    runBash(test.runner, 'kill -STOP $PPID').catch(() => undefined);
    const untilRefused = async (): Promise<void> => {
      for (;;) await test.runner.fileOperation('listDirectory', { path: '.', showHidden: false });
    };
    await expect(untilRefused()).rejects.toMatchObject({ reason: 'FILE_OPERATION_FAILED' });
    await test.runner.gone;
    await untilGone(runners);
    await test[Symbol.asyncDispose]();
  }, 60_000);

  it('follows when code of the session has stopped it and all that it reaches around it', async () => {
    const test = await startTestRunner(kind);
    const runners = ownRunners();
    const [outermost, runner] = [Math.min(...runners.map(Number)), Math.max(...runners.map(Number))];
    const victims = kind === 'none' ? [outermost, runner] : [runner];
    const command = kind === 'none' ? `kill -STOP ${outermost} ${runner}` : 'kill -STOP $PPID';
    runBash(test.runner, command).catch(() => undefined);
    await until(() => victims.every(isStopped));
    expect(victims.every(isStopped)).toBe(true);
    await test.runner.close();
    await untilGone(runners);
    await test[Symbol.asyncDispose]();
  }, 60_000);

  it('before it began is told with the reason', async () => {
    const binding = { sessionId: 's', uid: TEST_UID, homeName: 'h' };
    const start = (config: AgentConfig) => startSessionRunner(config, binding, { number: 1, log: silentLog });
    const config = testConfig(kind);
    const reason = 'SHIP_START_FAILED';
    await expect(
      start({ ...config, python: { executable: '/nonexistent/python3', prefixes: [] } }),
    ).rejects.toMatchObject({
      reason,
      message: expect.stringContaining('nonexistent') as string,
    });
    rmSync(join(config.homesDir, 'h'), { recursive: true, force: true });
    symlinkSync('/etc', join(config.homesDir, 'h'));
    await expect(start(config)).rejects.toMatchObject({ reason });
    removeBase(config);
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/** Nobody tells of other processes' states: they are looked at until they are so, or 5 s are over. */
async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !isSo() && Date.now() < deadline;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isStopped(pid: number): boolean {
  return /^State:\s*T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** Whether a process is a descendant of this one: other suites may run runners of their own. */
function isDescendant(pid: string): boolean {
  for (let current = Number(pid); current > 1;) {
    if (current === global.process.pid) return true;
    try {
      current = Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${current}/status`, 'utf8'))?.[1]);
    } catch {
      return false;
    }
  }
  return false;
}
