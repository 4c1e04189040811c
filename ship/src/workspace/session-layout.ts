import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { AgentConfig } from '../config.js';
import type { SessionBinding } from './session-runner.js';

/** Where a session's things lie, as the agent sees them and as the session does. */
export interface SessionLayout {
  readonly home: SeenFrom;
  /** 0700, the session's; for sockets that both sides see. */
  readonly socketDir: SeenFrom;
  /** ship/python. */
  readonly supportDir: SeenFrom;
  /** As the session sees it. */
  readonly workspace: string;
  /** The agent's own: what is shown read-only to the session. */
  readonly scratchDir: string;
}

export interface SeenFrom {
  readonly outside: string;
  readonly inside: string;
}

/** Linux allows 107 bytes for a socket's path; this much is left for the name of a socket in socketDir. */
const SOCKET_NAME_BYTES = 32;
const MAX_SOCKET_PATH_BYTES = 107;

const run = promisify(execFile);

/**
 * Makes the directories of a session where they are missing: the home with the session's owner and 0700, and those of
 * this incarnation. In a container it does so without ever waiting, since the agent's start goes on after it.
 *
 * @param number tells the sessions of one agent apart; part of a socket's path, so short
 */
export async function prepareSessionLayout(
  config: AgentConfig,
  binding: SessionBinding,
  number: number,
): Promise<SessionLayout> {
  const sandboxed = config.sandbox.kind === 'bwrap-uid' || config.sandbox.kind === 'bwrap-userns';
  const scratchDir = join(config.runDir, 's', String(number));
  const sockets = join(scratchDir, 'k');
  const home = join(config.homesDir, binding.homeName);
  const layout: SessionLayout = {
    home: { outside: home, inside: sandboxed ? '/home/user' : home },
    socketDir: { outside: sockets, inside: sandboxed ? '/run/shipyard' : sockets },
    supportDir: { outside: config.supportDir, inside: sandboxed ? '/opt/shipyard' : config.supportDir },
    workspace: join(sandboxed ? '/home/user' : home, 'workspace'),
    scratchDir,
  };
  checkSocketPath(sockets);

  rmSync(scratchDir, { recursive: true, force: true });
  if (config.sandbox.kind === 'uid') {
    if (sessionOwner(config, binding) === undefined)
      throw new StatusError('SHIP_START_FAILED', `uid ${binding.uid} is the agent's own, and cannot be a session's`);
    for (const passed of [config.runDir, join(config.runDir, 's')]) makeOwnDirectory(passed, 0o711);
    // The home and the directory of sockets are the runner's to make (own_user.py).
    for (const shared of [config.homesDir, scratchDir]) makeOwnDirectory(shared, 0o731);
    return layout;
  }
  const owner = sessionOwner(config, binding);
  await prepareHome(home, owner);
  // Others may pass, not look: the session's uid must reach its own.
  await mkdir(scratchDir, { recursive: true, mode: 0o711 });
  await mkdir(sockets, { mode: 0o700 });
  if (owner !== undefined) await chown(sockets, owner, owner);
  await writeForAll(join(scratchDir, 'passwd'), passwd(insideUid(config, binding)));
  await writeForAll(join(scratchDir, 'group'), group(insideUid(config, binding)));
  return layout;
}

export async function removeSessionLayout(layout: SessionLayout): Promise<void> {
  await rm(layout.scratchDir, { recursive: true, force: true });
}

/** The uid of the session's processes as the session sees it. */
export function insideUid(config: AgentConfig, binding: SessionBinding): number {
  if (config.sandbox.kind === 'bwrap-userns') return 1000;
  return sessionOwner(config, binding) ?? currentUid();
}

/** The uid that the session's files get, where it is not the agent's own. */
export function sessionOwner(config: AgentConfig, binding: SessionBinding): number | undefined {
  const own = config.sandbox.kind === 'bwrap-uid' || config.sandbox.kind === 'uid';
  return own && binding.uid !== currentUid() ? binding.uid : undefined;
}

/**
 * Makes a directory of the agent's user and group, who alone may look into it, with the rights to make entries and to
 * pass that the mode gives to the group and to others.
 */
function makeOwnDirectory(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const status = lstatSync(path);
  if (!status.isDirectory() || status.uid !== currentUid())
    throw new StatusError('SHIP_START_FAILED', `${path} is not a directory of the agent's user (uid ${currentUid()})`);
  // A volume may give its own group to all that is made in it.
  if (status.gid !== process.getgid!()) chownSync(path, status.uid, process.getgid!());
  if ((status.mode & 0o7777) !== mode) chmodSync(path, mode);
}

async function prepareHome(home: string, owner: number | undefined): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const status = await lstat(home);
  if (!status.isDirectory()) throw new StatusError('SHIP_START_FAILED', `the session's home is not a directory`);
  // A home that was imported or restored may be another uid's. -h and the default -P: no link is followed.
  if (owner !== undefined && status.uid !== owner) await run('chown', ['-R', '-h', `${owner}:${owner}`, '--', home]);
  if ((status.mode & 0o777) !== 0o700) await chmod(home, 0o700);
}

/** The agent's umask closes what it makes to everybody else; this is read by the session's user. */
async function writeForAll(file: string, text: string): Promise<void> {
  await writeFile(file, text);
  await chmod(file, 0o644);
}

function checkSocketPath(directory: string): void {
  const bytes = Buffer.byteLength(directory) + 1 + SOCKET_NAME_BYTES;
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw new StatusError(
    'SHIP_START_FAILED',
    `the run directory's path is too long for sockets by ${bytes - MAX_SOCKET_PATH_BYTES} bytes`,
  );
}

function currentUid(): number {
  return process.getuid?.() ?? 0;
}

function passwd(uid: number): string {
  return (
    (uid === 0 ? '' : 'root:x:0:0:root:/root:/usr/sbin/nologin\n') +
    `user:x:${uid}:${uid}:user:/home/user:/bin/bash\n` +
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n'
  );
}

function group(gid: number): string {
  return (gid === 0 ? '' : 'root:x:0:\n') + `user:x:${gid}:\nnogroup:x:65534:\n`;
}
