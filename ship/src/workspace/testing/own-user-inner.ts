/** Run by two-capabilities.test.ts: the walls between session users, and between them and the agent. */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { SessionBinding, SessionRunner } from '../session-runner.js';
import { startSessionRunner } from '../start-session-runner.js';
import { runBash, silentLog, TEST_UID, testConfig } from './start-test-runner.js';

const config = testConfig('uid');
const ANNA: SessionBinding = { sessionId: 'anna', uid: TEST_UID + 1, homeName: 'anna' };
const BERT: SessionBinding = { sessionId: 'bert', uid: TEST_UID + 2, homeName: 'bert' };
const CARL = TEST_UID + 3;
let opened = 0;
const open = (binding: SessionBinding) => startSessionRunner(config, binding, { number: ++opened, log: silentLog });

const failing = async (runner: SessionRunner, attempts: readonly string[]): Promise<void> => {
  for (const attempt of attempts) {
    const { exit } = await runBash(runner, `${attempt} > /dev/null 2>&1`);
    expect([attempt, exit]).not.toEqual([attempt, { kind: 'exited', code: 0 }]);
  }
};

const processesOf = (uid: number): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return /^Uid:.*\t/m.exec(status)?.[0].includes(`${uid}`) && !/^State:\s[ZX]/m.test(status);
    } catch {
      return false; // not a process, or gone
    }
  });

let anna: SessionRunner;
let bert: SessionRunner;
beforeAll(async () => {
  [anna, bert] = await Promise.all([open(ANNA), open(BERT)]);
});
afterAll(async () => {
  await Promise.all([anna.close(), bert.close()]);
});

it('is what the agent was started with', () => {
  const status = readFileSync('/proc/self/status', 'utf8');
  expect(/^CapEff:\s(.*)$/m.exec(status)?.[1]).toBe('00000000000000c0');
  expect(/^CapBnd:\s(.*)$/m.exec(status)?.[1]).toBe('00000000000000c0');
});

it('gives a session its own user, without privileges, and a home of its own', async () => {
  const { stdout } = await runBash(
    anna,
    'id -u; id -g; id -G; grep -E "^(CapPrm|CapEff|CapAmb|NoNewPrivs):" /proc/self/status; stat -c "%U:%u:%g %a" ~ ',
  );
  const none = '0'.repeat(16);
  expect(stdout.replace(/\t/g, ' ')).toBe(
    `${ANNA.uid}\n${ANNA.uid}\n${ANNA.uid}\nCapPrm: ${none}\nCapEff: ${none}\nCapAmb: ${none}\nNoNewPrivs: 1\nUNKNOWN:${ANNA.uid}:${ANNA.uid} 700\n`,
  );
});

it('keeps sessions out of each other’s homes, and from taking names', async () => {
  await runBash(anna, 'echo secret > ~/workspace/file; chmod 755 ~/workspace; chmod 644 ~/workspace/file');
  const homes = config.homesDir;
  await failing(bert, [
    `cat ${anna.workspace}/file`,
    `ls ${anna.home}`,
    `ls ${homes}`,
    `mkdir ${homes}/name-3`,
    `ln -s / ${homes}/name-4`,
    `mv ${anna.home} ${homes}/other`,
    `mv ${bert.home} ${homes}/other`,
    `rm -rf ${anna.home}`,
    `rmdir ${anna.home}/workspace`,
  ]);
  expect((await runBash(anna, 'cat ~/workspace/file')).stdout).toBe('secret\n');
});

it('keeps sessions from the agent, its files, and each other’s processes and sockets', async () => {
  const victim = await anna.spawn({ argv: ['sleep', '3001'], name: 'victim' });
  await failing(bert, [
    ...[`kill -0 ${process.pid}`, `kill -9 ${victim.pid}`, `kill -9 1`],
    ...['environ', 'maps', 'mem', 'fd/0', 'root/etc/passwd', 'cwd/package.json'].flatMap((file) => [
      `cat /proc/${process.pid}/${file}`,
      `cat /proc/${victim.pid}/${file}`,
    ]),
    ...[`ls ${config.runDir}`, `ls ${config.runDir}/s`, `ls ${anna.socketDir.inside}`, `ls ${config.stateDir}`],
    ...[`touch ${config.runDir}/x`, `touch ${config.runDir}/s/1/x`, `rm -rf ${anna.socketDir.inside}`],
    `python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("${anna.socketDir.inside}/attach.sock")'`,
  ]);
  // Its own runner neither: it holds the channel to the agent.
  await failing(bert, [`cat /proc/$PPID/environ`, `ls /proc/$PPID/fd`]);
  victim.kill('SIGKILL');
  expect(await victim.exited).toEqual({ kind: 'signaled', signal: 'SIGKILL' });
});

it('lets a terminal’s user open it by name', async () => {
  const terminal = await anna.openTerminal({
    ...{ argv: ['bash', '-c', 'exec < $(tty) > $(tty); stat -c "%u:%g %a" $(tty)'], name: 't' },
    ...{ columns: 80, rows: 24, term: 'xterm' },
  });
  let shown = '';
  for await (const chunk of terminal.output) shown += String(chunk);
  expect(shown).toBe(`0:${ANNA.uid} 660\r\n`);
});

it('ends a session that kills its own runner, forks without end and ignores signals', async () => {
  const carl = await open({ sessionId: 'carl', uid: CARL, homeName: 'carl' });
  await runBash(carl, 'mkdir -p /tmp/of-carl/deep; : > /dev/shm/of-carl; chmod 0 /tmp/of-carl');
  const started = await carl.spawn({
    argv: ['bash', '-c', 'ulimit -u 60; trap "" TERM HUP INT; ' +
      'for i in 1 2 3 4; do setsid -f bash -c \'while :; do (sleep 0.2 &) ; done\' 2>/dev/null; done; echo up; sleep 60'],
    name: 'wild',
  }); // prettier-ignore
  await new Promise((resolve) => started.stdout.once('data', resolve));
  await runBash(carl, 'kill -9 -1; kill -9 $PPID').catch(() => undefined);
  await carl.gone;
  expect(processesOf(CARL)).toEqual([]);
  expect(existsSync('/tmp/of-carl')).toBe(false);
  expect(existsSync('/dev/shm/of-carl')).toBe(false);
  expect(await started.exited).toEqual({ kind: 'lost' });
});

it('takes a home again with its files, and refuses one that is not the session’s', async () => {
  const again = await open({ sessionId: 'carl', uid: CARL, homeName: 'carl' });
  await runBash(again, 'echo kept > file; chmod 777 ~');
  await again.close();
  const third = await open({ sessionId: 'carl', uid: CARL, homeName: 'carl' });
  expect((await runBash(third, 'cat file; stat -c %a ~')).stdout).toBe('kept\n700\n');
  await third.close();
  await expect(open({ sessionId: 'dora', uid: CARL + 1, homeName: 'carl' })).rejects.toMatchObject({
    reason: 'SHIP_START_FAILED',
    message: expect.stringContaining('is not a directory of uid') as string,
  });
  await expect(open({ sessionId: 'root', uid: 0, homeName: 'session-0' })).rejects.toMatchObject({
    reason: 'SHIP_START_FAILED',
  });
});

it('leaves nothing of ended sessions but their homes', async () => {
  await Promise.all([anna.close(), bert.close()]);
  expect(readdirSync(join(config.runDir, 's'))).toEqual([]);
  expect(statSync(config.homesDir).mode & 0o7777).toBe(0o731);
  expect(lstatSync(join(config.homesDir, 'anna')).isDirectory()).toBe(true);
});
