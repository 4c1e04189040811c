import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Ship } from '../../ships/ship.js';
import { driverConformance, type ConformanceSubject } from '../conformance.js';
import type { Driver } from '../driver.js';
import { killProcess } from './processes.js';
import { toRecord } from './ship-record.js';
import { testShip } from '../testing/test-ship.js';
import { LocalShips } from './testing/local-ships.js';
import { askStub, type RunAnswer } from './testing/stub-client.js';

const soon = () => AbortSignal.timeout(20_000);

function conformanceSubject(ships: LocalShips): ConformanceSubject {
  return {
    driver: ships.driver,
    anotherDriver: () => ships.anotherDriver(),
    ship: testShip,
    hello: (endpoint) => askStub(endpoint, { op: 'hello' }),
    run: (endpoint, command) =>
      askStub(endpoint, { op: 'session', homeName: 'h', uid: 20_001, argv: ['sh', '-c', command] }),
    killAgent: async (driver: Driver, ship: Ship) => {
      const kill = { op: 'agent', argv: ['sh', '-c', 'kill -9 $PPID'] };
      await askStub(driver.endpoint(ship.handle ?? {}), kill).catch(() => undefined); // it is dead before it can answer
    },
    [Symbol.asyncDispose]: () => ships[Symbol.asyncDispose](),
  };
}

driverConformance('local', () => conformanceSubject(new LocalShips()));

const nothingLeft = (ship: Ship) => {
  const record = toRecord(ship.handle);
  return [record?.runDir ?? '', ...(record?.cgroup?.dirs ?? [])].filter((file) => existsSync(file));
};

async function until(happened: () => boolean): Promise<void> {
  const late = performance.now() + 15_000;
  while (!happened()) {
    if (performance.now() > late) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('local driver', () => {
  let ships: LocalShips;
  beforeEach(() => void (ships = new LocalShips()));
  afterEach(() => ships[Symbol.asyncDispose]());

  const session = (ship: Ship, command: string) =>
    askStub<RunAnswer>(ships.driver.endpoint(ship.handle ?? {}), {
      ...{ op: 'session', homeName: 'h', uid: 20_001 },
      argv: ['sh', '-c', command],
    });

  it('ends everything of a ship at once, also what left its process group and session', async () => {
    const marker = `60.${process.pid}`;
    const ship = await ships.start(testShip('tree'));
    const endpoint = ships.driver.endpoint(ship.handle);
    await askStub(endpoint, { op: 'leave', argv: ['setsid', 'sh', '-c', `sleep ${marker} & exec sleep ${marker}`] });
    const living = () =>
      readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).startsWith(`sleep ${marker} `));
    await until(() => living().length === 2);
    await ships.driver.stop(ship, { signal: soon() });
    expect(living()).toEqual([]);
    expect(nothingLeft(ship)).toEqual([]);
  });

  it('reaps orphans, so that nothing piles up in a long life', async () => {
    const ship = await ships.start(testShip('orphans'));
    const endpoint = ships.driver.endpoint(ship.handle);
    await askStub(endpoint, { op: 'agent', argv: ['sh', '-c', '(sleep 0.01 & sleep 0.01 &) ; true'] });
    const zombies = { op: 'agent', argv: ['sh', '-c', 'sleep 0.1; grep -l "^State:.Z" /proc/[0-9]*/status; true'] };
    expect((await askStub<RunAnswer>(endpoint, zombies)).stdout).toBe('');
  });

  it('gives the agent neither the environment nor the descriptors of Bay, and its configuration to nobody else', async () => {
    const ship = await ships.start(testShip('clean'));
    const endpoint = ships.driver.endpoint(ship.handle);
    const run = (command: string) => askStub<RunAnswer>(endpoint, { op: 'agent', argv: ['sh', '-c', command] });
    const { stdout } = await run('tr "\\0" "\\n" < /proc/$PPID/environ | cut -d= -f1 | sort | tr "\\n" " "');
    expect(stdout.trim()).toBe('HOME LANG PATH PWD');
    expect((await run('ls -l /proc/$PPID/fd | grep -c " 3 ->.*alive\\|status.json"')).stdout.trim()).toBe('0');
    expect((await run('stat -c %a "$(tr "\\0" "\\n" < /proc/$PPID/cmdline | tail -1)"')).stdout.trim()).toBe('600');
    expect((await run('grep NoNewPrivs /proc/$PPID/status')).stdout).toMatch(/1$/m);
  });

  it('never ends a process that has the number of an ended ship', async () => {
    const ship = await ships.start(testShip('reused'));
    const record = toRecord(ship.handle);
    if (!record?.init) throw new Error('no init');
    const stranger = { ...record, runDir: `${record.runDir}x`, cgroup: undefined, supervisor: undefined };
    const asOf = (values: object): Ship => ({ ...ship, handle: { ...stranger, ...values } });
    for (const handle of [
      { init: { ...record.init, startTicks: record.init.startTicks - 1 } },
      { bootId: 'another/boot' },
    ]) {
      expect(await ships.driver.inspect(asOf(handle))).toMatchObject({ state: 'gone' });
      await ships.driver.stop(asOf(handle), { signal: soon() });
    }
    expect(await ships.driver.inspect(ship)).toEqual({ state: 'running' });
  });

  it('finds a ship whose Bay died before it could record its processes', async () => {
    const row = testShip('half');
    const ship = await ships.start(row);
    const record = toRecord(ship.handle);
    if (!record) throw new Error('no record');
    const { init: _init, supervisor: _supervisor, ...before } = record;
    writeFileSync(path.join(record.runDir, 'ship.json'), JSON.stringify(before));
    const later = ships.anotherDriver();
    expect(await later.list()).toMatchObject([{ shipId: 'half', handle: { init: record.init } }]);
    await later.stop(row, { signal: soon() });
    expect(await ships.driver.inspect(ship)).toMatchObject({ state: 'gone' });
    expect(nothingLeft(ship)).toEqual([]);
  });

  it('starts an incarnation again that an interrupted start left behind', async () => {
    const row = testShip('again');
    const left = await ships.start(row);
    const ship = await ships.start(row);
    expect(ship.handle.init).not.toEqual(left.handle.init);
    expect(await ships.driver.list()).toHaveLength(1);
  });

  it('says why an agent did not start, and leaves nothing', async () => {
    const driver = ships.anotherDriver({ shipEnvironment: { STUB_FAILS: '1' } });
    await expect(ships.start(testShip('broken'), driver)).rejects.toMatchObject({
      reason: 'SHIP_START_FAILED',
      message: expect.stringContaining('told to fail') as string,
    });
    expect(readdirSync(ships.options.runtimeDir ?? '')).toEqual([]);
  });

  it('gives up on an agent that never listens', async () => {
    const driver = ships.anotherDriver({ agentCommand: ['/bin/sh', '-c', 'sleep 30'], startTimeoutMs: 300 });
    await expect(ships.start(testShip('silent'), driver)).rejects.toMatchObject({ reason: 'SHIP_START_FAILED' });
    expect(readdirSync(ships.options.runtimeDir ?? '')).toEqual([]);
  });

  it('tells how an agent ended', async () => {
    const ship = await ships.start(testShip('exits'));
    const died = ships.driver.died?.(ship, soon());
    await askStub(ships.driver.endpoint(ship.handle), { op: 'exit', code: 5 }).catch(() => undefined);
    expect(await died).toEqual({ state: 'gone', reason: 'the agent ended with exit code 5' });
    expect(await ships.driver.inspect(ship)).toEqual({ state: 'gone', reason: 'the agent ended with exit code 5' });
  });

  it('leaves nothing of an ephemeral ship that ends without Bay', async () => {
    const driver = ships.anotherDriver({ ephemeral: true });
    const ship = await ships.start(testShip('ephemeral'), driver);
    await askStub(driver.endpoint(ship.handle), { op: 'exit', code: 0 }).catch(() => undefined);
    await until(() => nothingLeft(ship).length === 0);
    expect(await driver.inspect(ship)).toMatchObject({ state: 'gone' });
  });

  it('lives on when its launcher and supervisor are killed, and still ends when told', async () => {
    const ship = await ships.start(testShip('headless'));
    const record = toRecord(ship.handle);
    if (record?.supervisor) killProcess(record.supervisor);
    expect(await ships.driver.inspect(ship)).toEqual({ state: 'running' });
    expect(await session(ship, 'echo alive')).toMatchObject({ stdout: 'alive\n' });
    await ships.driver.stop(ship, { signal: soon() });
    expect(nothingLeft(ship)).toEqual([]);
  });

  it('tells a kill for want of memory from one long ago', async () => {
    const ship = await ships.start(testShip('oom', { spec: { cpus: 1, memoryBytes: 128 * 1024 * 1024 } }));
    if (!ship.isolation?.limits.includes('memory')) return;
    await session(ship, 'head -c 1G /dev/zero | tail > /dev/null');
    const died = ships.driver.died?.(ship, soon());
    const kill = { op: 'agent', argv: ['sh', '-c', 'kill -9 $PPID'] };
    await askStub(ships.driver.endpoint(ship.handle), kill).catch(() => undefined);
    expect(await died).toEqual({ state: 'gone', reason: 'the agent was ended by signal 9' });

    const second = await ships.start(
      testShip('oom', { incarnation: 2, spec: { cpus: 1, memoryBytes: 128 * 1024 * 1024 } }),
    );
    const diedOfMemory = ships.driver.died?.(second, soon());
    const hog = 'Array.from({ length: 64 }, () => Buffer.alloc(16 << 20, 1))';
    const eat = {
      op: 'agent',
      argv: ['sh', '-c', `echo 1000 > /proc/$PPID/oom_score_adj; exec "${process.execPath}" -e '${hog}'`],
    };
    await askStub(ships.driver.endpoint(second.handle), eat).catch(() => undefined);
    expect(await diedOfMemory).toEqual({ state: 'gone', reason: 'the kernel ended it for want of memory', oom: true });
  });

  it('bounds the processes of a ship', async () => {
    const driver = ships.anotherDriver({ pidsMax: 40 });
    const ship = await ships.start(testShip('forks'), driver);
    if (!ship.isolation?.limits.includes('pids')) return;
    const { stderr } = await session(ship, 'for i in $(seq 60); do sleep 2 & done; wait');
    expect(stderr).toMatch(/fork/i);
    expect(await driver.inspect(ship)).toEqual({ state: 'running' });
  });

  it('refuses a socket path that is too long, before anything is made', async () => {
    const driver = ships.anotherDriver({ runtimeDir: path.join(ships.folder, 'r'.repeat(90)) });
    await expect(ships.start(testShip('long'), driver)).rejects.toMatchObject({ reason: 'DRIVER_REFUSED' });
  });

  it('refuses more than one session without isolation, and warns of one', async () => {
    const driver = ships.anotherDriver({ isolation: 'none', shipNetwork: undefined });
    const { warnings } = await driver.check(soon());
    expect(warnings.join()).toContain('LOCAL_DRIVER_ISOLATION=none');
    await expect(ships.start(testShip('shared'), driver)).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
    const ship = await ships.start(testShip('alone', { maxSessionNum: 1 }), driver);
    expect(ship.isolation?.kind).toBe('none');
    expect(await session(ship, 'echo open')).toMatchObject({ stdout: 'open\n' });
  });

  it('refuses names that lead out of the data directory', async () => {
    for (const id of ['..', '../x', 'a/b', '', '.'])
      await expect(ships.driver.removeData(id)).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // it ended while the list was read
  }
}

it('finds bubblewrap, or these tests say nothing', () => {
  expect(spawnSync('bwrap', ['--version']).status).toBe(0);
});
