import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { findTool, readFileIfThere, TOOL_PATH } from './host-tools.js';
import { SLIRP_RESOLVER } from './network-rules.js';
import { readProcess, type ProcessRef } from './processes.js';
import { HELPER_SCRIPT } from './supervisor.js';

/** Programs that a filtered `internet` takes. */
export interface NetworkTools {
  readonly slirp: string;
  /** What this slirp4netns can do for its own confinement here. */
  readonly slirpFlags: readonly string[];
  readonly nft: string;
  readonly setpriv: string;
  readonly unshare: string;
}

/** The programs by name, or the one that is missing with its package. */
export function findNetworkTools(): { tools: Omit<NetworkTools, 'slirpFlags'> } | { missing: string } {
  const slirp = findTool('slirp4netns');
  const nft = findTool('nft');
  const setpriv = findTool('setpriv');
  const unshare = findTool('unshare');
  const packages = [
    ...(slirp ? [] : ['slirp4netns']),
    ...(nft ? [] : ['nftables']),
    ...(setpriv && unshare ? [] : ['util-linux']),
  ];
  if (!slirp || !nft || !setpriv || !unshare)
    return { missing: `apt-get install -y --no-install-recommends ${packages.join(' ')}` };
  return { tools: { slirp, nft, setpriv, unshare } };
}

/** What a ship's sessions see as /etc/resolv.conf. */
export function writeResolvConf(runDir: string, network: 'none' | 'internet'): string {
  const file = path.join(runDir, 'resolv.conf');
  // Sessions read it as users of their own.
  writeFileSync(file, network === 'internet' ? `nameserver ${SLIRP_RESOLVER}\n` : '', { mode: 0o644 });
  return file;
}

export interface Uplink {
  readonly ref: ProcessRef;
}

/**
 * Gives the network namespace of a process its way out by slirp4netns, which lives outside of it as Bay's user. It ends
 * by itself with the namespace's init, whose end closes the last writer of `alive`.
 */
export async function startUplink(options: {
  readonly tools: NetworkTools;
  readonly initPid: number;
  /** The fifo of the ship's supervisor. */
  readonly alive: string;
  /** Where it writes what goes wrong; at most 512 KiB. */
  readonly logFile: string;
  readonly groups: readonly string[];
  readonly signal: AbortSignal;
}): Promise<Uplink> {
  const { tools, groups, signal } = options;
  const command = [
    ...apart(tools),
    ...[tools.slirp, '--configure', '--mtu=65520', '--disable-host-loopback', ...tools.slirpFlags],
    ...['--exit-fd=3', '--ready-fd=4', `${options.initPid}`, 'tap0'],
  ];
  const log = openSync(
    options.logFile,
    constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND,
    0o600,
  );
  const alive = openSync(options.alive, constants.O_RDONLY | constants.O_NONBLOCK);
  let child: ChildProcess;
  try {
    child = spawn('/bin/sh', ['-c', HELPER_SCRIPT, 'sh', ...groups, '--', ...command], {
      detached: true,
      cwd: '/',
      env: { PATH: TOOL_PATH, LANG: 'C.UTF-8' },
      stdio: ['ignore', log, log, alive, 'pipe'],
    });
  } finally {
    closeSync(log);
    closeSync(alive);
  }
  child.unref();
  try {
    await becameReady(child, options.logFile, signal);
    const ref = child.pid === undefined ? undefined : readProcess(child.pid);
    if (!ref) throw uplinkFailed('it ended at once', options.logFile);
    return { ref };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    child.stdio[4]?.destroy();
  }
}

/**
 * What slirp4netns detaches for its own confinement, as root it also detaches from the machine, where that shares its mounts:
 * it gets a view of them that nothing goes out of.
 */
const apart = ({ unshare, slirpFlags }: NetworkTools): string[] =>
  process.getuid?.() === 0 && slirpFlags.includes('--enable-sandbox')
    ? [unshare, '--mount', '--propagation', 'private', '--']
    : [];

async function becameReady(child: ChildProcess, logFile: string, signal: AbortSignal): Promise<void> {
  const settled = new AbortController();
  const listening = { signal: AbortSignal.any([signal, settled.signal]) };
  const ready = child.stdio[4];
  if (!ready) throw new Error('slirp4netns was started without its ready pipe');
  const ended = once(child, 'exit', listening).then(([code, killedBy]: unknown[]) => {
    throw uplinkFailed(`it ended with ${String(killedBy ?? code)}`, logFile);
  });
  try {
    await Promise.race([once(ready, 'data', listening), ended]);
  } finally {
    settled.abort();
    ended.catch(() => undefined); // told by the race, or of no interest after it
  }
}

function uplinkFailed(what: string, logFile: string): StatusError {
  const said = (readFileIfThere(logFile) ?? '').trim().split('\n').slice(-3).join('; ');
  return new StatusError(
    'SHIP_START_FAILED',
    `slirp4netns gives the ship no network: ${what}${said ? ` (${said})` : ''}`,
  );
}
