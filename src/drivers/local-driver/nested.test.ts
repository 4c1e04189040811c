/**
 * The driver's tests once more where they need another user or another network than the one that runs the suite. Both are
 * made for them, by root, and go with them.
 */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { unless } from '../../../scripts/lib/unless.mjs';
import { findTool, runTool } from './host-tools.js';

const USER = 12_345;
const root = path.resolve(import.meta.dirname, '../../..');
const asUser = ['setpriv', '--reuid', `${USER}`, '--regid', `${USER}`, '--clear-groups', '--'];

/** Every address is local, every port free for everybody, and /dev/net/tun open, as distributions have it. */
const WORLD = `set -e
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
ip addr add 203.0.113.1/32 dev lo
ip route add local default dev lo
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
mknod "$0/tun" c 10 200
chmod 666 "$0/tun"
mount --bind "$0/tun" /dev/net/tun
exec "$@"`;

/** A machine without some programs. */
const without = (programs: readonly string[]) => {
  const hide = programs.map((file) => `mount --bind /dev/null ${file}`).join(' && ');
  return ['unshare', '--mount', 'sh', '-c', `${hide} && exec "$@"`, 'sh'];
};
const installed = (...names: string[]) => names.map(findTool).filter((file) => file !== undefined);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'sn-'));
  chmodSync(folder, 0o755);
  if (process.geteuid?.() === 0) chownSync(folder, USER, USER);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a test file in a Jest of its own; answers what it said where it failed. */
function jest(before: readonly string[], file: string): Promise<string> {
  const command = [
    ...[...before, process.execPath, '--experimental-vm-modules', path.join(root, 'node_modules/jest/bin/jest.js')],
    ...[
      '--rootDir',
      root,
      '--runInBand',
      '--cacheDirectory',
      path.join(folder, 'jest'),
      '--testMatch',
      `**/local-driver/${file}`,
    ],
  ];
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: folder, TMPDIR: '/tmp', NODE_OPTIONS: '' },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-20_000)));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve('') : resolve(said || `ended with ${code}`)));
  });
}

const noRoot = process.geteuid?.() === 0 ? undefined : 'only root can make such a place';
const [noTool] = ['slirp4netns', 'nft', 'ip'].filter((name) => findTool(name) === undefined);
const noNetwork = noRoot ?? (noTool && `no ${noTool} here`);
const read = ['-e', `fs.readFileSync('${root}/package.json')`];
const noReader =
  noRoot ??
  ((await runTool([...asUser, process.execPath, ...read], { timeoutMs: 20_000 })).ok
    ? undefined
    : 'other users may not read this checkout or run this Node');

unless(noReader, it)(
  'does the same for a user without privileges',
  async () => {
    expect(await jest(asUser, 'local-driver.test.ts')).toBe('');
  },
  120_000,
);

unless(noNetwork, it)(
  'filters the network of ships of root',
  async () => {
    expect(await jest(['unshare', '--net', '--mount', 'sh', '-c', WORLD, folder], 'testing/network-inner.ts')).toBe('');
  },
  120_000,
);

unless(noNetwork ?? noReader, it)(
  'filters the network of ships of a user without privileges',
  async () => {
    rmSync(path.join(folder, 'tun'), { force: true });
    rmSync(path.join(folder, 'jest'), { recursive: true, force: true });
    expect(
      await jest(['unshare', '--net', '--mount', 'sh', '-c', WORLD, folder, ...asUser], 'testing/network-inner.ts'),
    ).toBe('');
  },
  120_000,
);

unless(noRoot, it)(
  'refuses where bubblewrap is missing, and does what it can where that is accepted',
  async () => {
    expect(await jest(without(installed('bwrap')), 'testing/bare-inner.ts')).toBe('');
  },
  120_000,
);

unless(noRoot, it)(
  'gives ships no network rather than one without a filter',
  async () => {
    expect(await jest(without(installed('nft')), 'testing/offline-inner.ts')).toBe('');
  },
  120_000,
);
