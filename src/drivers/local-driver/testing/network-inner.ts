/**
 * Run by nested.test.ts in a network namespace in which every address there is leads to this process: what a ship cannot
 * reach here is kept back by its filter, and by nothing else. The machine's own address is 203.0.113.1.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Ship } from '../../../ships/ship.js';
import { parseNetworkAllow } from '../../network-filter.js';
import { isAlive } from '../processes.js';
import { toRecord } from '../ship-record.js';
import { testShip } from '../../testing/test-ship.js';
import { LocalShips } from './local-ships.js';
import { askStub, type RunAnswer } from './stub-client.js';

/** Connects to each host:port and says how it went, one line each. */
const CLIENT = `
const net = require('net');
for (const [host, port] of JSON.parse(process.argv[1])) {
  const socket = net.connect({ host, port, timeout: 3000 });
  const say = (what) => { console.log(host + ' ' + port + ' ' + what); socket.destroy(); };
  socket.on('data', say).on('error', (error) => say(error.code)).on('timeout', () => say('silence'));
}`;

const BLOCKED = [
  ...[
    '0.1.2.3',
    '10.1.2.3',
    '10.0.2.2',
    '100.64.0.1',
    '100.127.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.254',
  ],
  ...['192.168.0.1', '224.0.0.1', '239.1.2.3', '240.0.0.1', '255.255.255.254', '203.0.113.1'],
  ...['::ffff:10.1.2.3', '::ffff:203.0.113.1', 'fc00::1', 'fd12::1', 'fe80::1', 'ff02::1', '2001:db8::1'],
];
const OPEN = [
  '198.51.100.7',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.0.1',
  '172.32.0.1',
  '192.167.0.1',
  '9.255.0.1',
  '223.255.0.1',
];

let ships: LocalShips;
let server: Server;
let port: number;

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end('reached');
  });
  port = await listen(server);
});
afterAll(() => void server.close());
beforeEach(() => void (ships = new LocalShips({ shipNetwork: 'internet' })));
afterEach(() => ships[Symbol.asyncDispose]());

async function listen(listener: Server, on = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => listener.once('error', reject).listen(on, '0.0.0.0', resolve));
  return (listener.address() as AddressInfo).port;
}

async function connect(ship: Ship, targets: readonly (readonly [string, number])[]): Promise<Record<string, string>> {
  const argv = [process.execPath, '-e', CLIENT, JSON.stringify(targets)];
  const endpoint = ships.driver.endpoint(ship.handle ?? {});
  const { stdout, stderr } = await askStub<RunAnswer>(endpoint, { op: 'session', homeName: 'h', uid: 20_001, argv });
  if (stderr) throw new Error(stderr);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return Object.fromEntries(lines.map(([host = '', at = '', what = '']) => [`${host} ${at}`, what]));
}

it('finds a filtered internet by itself', async () => {
  const driver = ships.anotherDriver({ shipNetwork: undefined });
  expect(await driver.check(AbortSignal.timeout(20_000))).toMatchObject({ network: 'internet' });
});

it('blocks what it must, at once, and nothing else', async () => {
  const ship = await ships.start(testShip('filtered'));
  expect(ship.isolation?.network).toBe('internet');
  const seen = await connect(
    ship,
    [...BLOCKED, ...OPEN].map((host) => [host, port] as const),
  );
  const reached = Object.keys(seen).filter((target) => seen[target] === 'reached');
  expect(reached.sort()).toEqual(OPEN.map((host) => `${host} ${port}`).sort());
  expect(Object.values(seen)).not.toContain('silence');
});

const asRoot = process.geteuid?.() === 0 ? it : it.skip;
asRoot("leaves the machine's own mounts alone, also those that it shares", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mounts-'));
  const below = path.join(folder, 'below');
  mkdirSync(below);
  execFileSync('mount', ['--bind', folder, folder]);
  execFileSync('mount', ['--make-shared', folder]);
  execFileSync('mount', ['-t', 'tmpfs', 'none', below]);
  const isMounted = () => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${below} `);
  try {
    expect((await ships.start(testShip('mounts'))).isolation?.network).toBe('internet');
    expect(isMounted()).toBe(true);
  } finally {
    if (isMounted()) execFileSync('umount', [below]);
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  }
});

it('leaves the resolver open on its port alone', async () => {
  const resolver = createServer((socket) => void socket.end('resolver'));
  await listen(resolver, 53);
  try {
    const ship = await ships.start(testShip('resolver'));
    const seen = await connect(ship, [
      ['10.0.2.3', 53],
      ['10.0.2.3', port],
      ['10.9.9.9', 53],
    ]);
    expect(seen['10.0.2.3 53']).toBe('resolver');
    expect(Object.values(seen)).not.toContain('reached');
    expect(Object.values(seen).filter((what) => what === 'resolver')).toHaveLength(1);
  } finally {
    resolver.close();
  }
});

it('opens the exceptions that were asked for, and no more', async () => {
  const second = createServer((socket) => void socket.end('second'));
  const other = await listen(second);
  try {
    const driver = ships.anotherDriver({ shipNetworkAllow: parseNetworkAllow(`203.0.113.1:${port}, 10.1.2.0/24`) });
    const ship = await ships.start(testShip('allowed'), driver);
    const seen = await connect(ship, [
      ['203.0.113.1', port],
      ['203.0.113.1', other],
      ['10.1.2.3', other],
      ['10.1.3.3', other],
    ]);
    expect(seen[`203.0.113.1 ${port}`]).toBe('reached');
    expect(seen[`10.1.2.3 ${other}`]).toBe('second');
    expect(Object.values(seen).filter((what) => ['reached', 'second'].includes(what))).toHaveLength(2);
  } finally {
    second.close();
  }
});

it('gives a ship a loopback of its own, and not that of the machine', async () => {
  const ship = await ships.start(testShip('loopback'));
  expect(await connect(ship, [['127.0.0.1', port]])).toEqual({ [`127.0.0.1 ${port}`]: 'ECONNREFUSED' });
  const own = `const s = require('net').createServer((c) => c.end('own')).listen(0, '127.0.0.1', () =>
    require('net').connect(s.address().port, '127.0.0.1').on('data', (d) => { console.log(String(d)); process.exit(); }))`;
  const endpoint = ships.driver.endpoint(ship.handle);
  const argv = [process.execPath, '-e', own];
  expect(await askStub(endpoint, { op: 'session', homeName: 'h', uid: 20_001, argv })).toMatchObject({
    stdout: 'own\n',
  });
});

it('lets neither session nor agent change the filter', async () => {
  const ship = await ships.start(testShip('fixed'));
  const endpoint = ships.driver.endpoint(ship.handle);
  const flush = [
    'sh',
    '-c',
    'PATH=$PATH:/usr/sbin; nft flush ruleset || unshare --user --map-root-user nft flush ruleset',
  ];
  for (const request of [
    { op: 'session', homeName: 'h', uid: 20_001, argv: flush },
    { op: 'agent', argv: flush },
  ]) {
    expect((await askStub<RunAnswer>(endpoint, request)).code).not.toBe(0);
  }
  expect(await connect(ship, [['10.1.2.3', port]])).not.toMatchObject({ [`10.1.2.3 ${port}`]: 'reached' });
});

it('ends the network helper with the ship, with and without Bay', async () => {
  const ship = await ships.start(testShip('helper'));
  const [helper] = toRecord(ship.handle)?.helpers ?? [];
  if (!helper) throw new Error('no helper recorded');
  expect(isAlive(helper)).toBe(true);
  await askStub(ships.driver.endpoint(ship.handle), { op: 'exit', code: 0 }).catch(() => undefined);
  const late = performance.now() + 10_000;
  while (isAlive(helper) && performance.now() < late) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isAlive(helper)).toBe(false);

  const second = await ships.start(testShip('helper', { incarnation: 2 }));
  const [stopped] = toRecord(second.handle)?.helpers ?? [];
  await ships.driver.stop(second, { signal: AbortSignal.timeout(10_000) });
  expect(stopped && isAlive(stopped)).toBe(false);
});
