/**
 * `npm run probe`, as a user runs it, on the driver that CONTAINER_DRIVER names (local where it names none): every attack
 * from inside a ship fails, and is seen to be one.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Result } from '../../probe/probe.js';
import { probes } from '../../probe/probes/index.js';
import { TEST_DRIVER } from './testing/test-engine.js';

const root = path.resolve(import.meta.dirname, '../..');

/** What only root can lay out: addresses of this machine, its password file. */
const NEEDS_ROOT = ['private-ranges', 'shared-range', 'link-local', 'metadata', 'other-resolver', 'host-passwords'];
/** What needs something that not every machine has: control groups, IPv6. */
const NEEDS_MACHINE = ['fork-bomb', 'memory-bomb', 'fill-tmp', 'host-ipv6'];
/** Open by design where a container holds all sessions of a ship. */
const OPEN_IN_CONTAINERS = ['neighbour-arguments'];
/** Where a ship has one user and takes one session (KUBE_POD_SECURITY=restricted): on what another one has, or the agent. */
const NEEDS_USERS = [
  ...['neighbour-files', 'neighbour-tmp', 'neighbour-log', 'neighbour-memory', 'neighbour-processes'],
  ...['neighbour-arguments', 'neighbour-kernel-key', 'neighbour-kernel', 'kill-others', 'agent-token'],
  ...['own-agent-without-token', 'own-agent-guessed-token', 'trace-processes'],
];
/** Attacks of which the program says why they are not made outside of a ship. */
const NOT_OUTSIDE = ['sysctl', 'sysfs', 'cgroups', 'machine', 'clock', 'inherited-descriptors'];

const isLocal = (process.env.CONTAINER_DRIVER || TEST_DRIVER) === 'local';
const mayNotApply = [
  ...NEEDS_MACHINE,
  ...(process.getuid?.() === 0 ? [] : NEEDS_ROOT),
  ...(isLocal ? [] : OPEN_IN_CONTAINERS),
  ...(process.env.KUBE_POD_SECURITY === 'restricted' ? NEEDS_USERS : []),
];

let results: readonly Result[];
let exitCode: number | null;

beforeAll(async () => {
  const child = spawn(process.execPath, [path.join(root, 'scripts/probe.mjs'), '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (data: Buffer) => (text += data.toString()));
  exitCode = await new Promise((resolve) => child.once('close', resolve));
  results = JSON.parse(text) as Result[];
}, 600_000);

describe('an attacker in a ship fails to', () => {
  it.each(probes.map((probe) => [probe.attempts, probe.name]))('%s (%s)', (_attempts, name) => {
    const result = results.find(({ probe }) => probe === name);
    if (mayNotApply.includes(name) && result?.verdict === 'not applicable') return;
    // The whole result, so that a failure says what was seen.
    expect({ ...result, held: result?.verdict === 'held' }).toEqual({ ...result, held: true });
  });
});

describe('the probes', () => {
  it('are at least forty, and say by the exit code that all of them held', () => {
    expect(probes.length).toBeGreaterThanOrEqual(40);
    expect(exitCode).toBe(0);
  });

  it('show as root that what they ask of the kernel is granted outside', () => {
    const shown = (result: Result) => result.verdict !== 'held' || !/not (shown|tried)/.test(result.evidence);
    const silent = results.filter((result) => !shown(result)).map(({ probe }) => probe);
    expect(silent.filter((name) => !NOT_OUTSIDE.includes(name))).toEqual(process.getuid?.() === 0 ? [] : silent);
  });
});
