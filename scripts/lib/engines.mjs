/**
 * Container engines for builds and tests: the one that runs, else one of our own, started for as long as anybody needs it.
 *
 * What is ours lies in `$XDG_CACHE_HOME/shipyard/engines/<kind>` and is shared by all checkouts of a user, so that layers
 * are reused and no two daemons fight over bridges and packet filters.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { alone } from './alone.mjs';
import { ask } from './engine-api.mjs';
import { claimEngine } from './engine-claim.mjs';
import { installEngine } from './engine-packages.mjs';
import { removeLeftOvers } from './engine-traces.mjs';
import { engineCommand, isOfRootlessUser, ROOTLESS_HOME } from './engine-commands.mjs';
import { say, step } from './log.mjs';

/** @typedef {'docker' | 'podman' | 'podman-rootless'} EngineKind */

/** From the start of a daemon to its first answer; a first start makes its folders, and loads kernel modules. */
const START_TIMEOUT_MS = 60_000;
/** Below this much a daemon of ours is not started: an image with its layers takes a good part of it. */
const MIN_FREE_BYTES = 8 * 1024 ** 3;

/**
 * The engine of this kind that answers, or undefined.
 *
 * @param {EngineKind} kind
 */
export async function findEngine(kind) {
  for (const socketPath of socketsOf(kind)) {
    const version = await versionAt(socketPath);
    if (version) return { kind, socketPath, host: `unix://${socketPath}`, version };
  }
  return undefined;
}

/**
 * The engine of this kind that answers, or undefined. One of our own goes on until this process ends, whoever else is done
 * with it.
 *
 * @param {EngineKind} kind
 */
export async function keepFoundEngine(kind) {
  const found = await findEngine(kind);
  const place = placeOf(kind);
  if (found?.socketPath !== place.socket) return found;
  // Of another user's engine there is no claim to be had: whoever started this process keeps it.
  await claimEngine(place).catch(() => undefined);
  return (await versionAt(place.socket)) && found; // it may have ended before it was claimed
}

/**
 * The engine that answers, or one of our own, whose programs are installed first where that is possible. Call stop() when
 * it is no longer needed: the last one to do so, or to die, ends an engine of ours.
 *
 * @param {EngineKind} kind
 * @returns {Promise<{ kind: EngineKind, socketPath: string, host: string, version: string, started: boolean, stop(): Promise<void> }>}
 * @throws Error that names what is missing, and the remedy
 */
export async function ensureEngine(kind) {
  const place = placeOf(kind);
  const found = await findEngine(kind);
  if (found && found.socketPath !== place.socket) return { ...found, started: false, stop: async () => {} };
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  const release = await claimEngine(place); // first, so that nobody who is done with it just now ends it
  try {
    const started = await alone(`engine ${place.socket}`, () => startUnlessThere(kind, place));
    const version = await versionAt(place.socket);
    if (!version) throw new Error(`the ${kind} engine at ${place.socket} went away`);
    return { kind, socketPath: place.socket, host: `unix://${place.socket}`, version, started, stop: release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Whether it was started here. */
async function startUnlessThere(kind, place) {
  if (await versionAt(place.socket)) return false;
  await untilEnded(place);
  if (kind === 'podman-rootless') forgetDeadNamespace(place);
  await start(kind, place);
  await removeLeftOvers({ socketPath: place.socket });
  return true;
}

/** An engine of ours that ends its containers just now does not answer any more, and leaves its place when it is done. */
async function untilEnded({ pid, folder }) {
  for (let tries = 0; tries < 300; tries += 1) {
    const ending = existsSync(pid) ? readFileSync(pid, 'utf8').trim() : '';
    const command = `/proc/${ending}/cmdline`;
    if (!/^\d+$/.test(ending) || !existsSync(command) || !readFileSync(command, 'utf8').includes(folder)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/**
 * Where everything of a Podman without root was killed, its notes of namespaces and containers name what is gone, and it
 * refuses to start, or to make networks. Without them it begins as after a boot, which its folders do not outlive elsewhere.
 */
function forgetDeadNamespace({ pausePid }) {
  if (existsSync(pausePid) && isRunning(readFileSync(pausePid, 'utf8'), 'podman')) return;
  rmSync(path.dirname(pausePid), { recursive: true, force: true });
}

/** Whether a process with this id runs a program of this name; one that only waits for its parent does not. */
function isRunning(pid, program) {
  const stat = `/proc/${pid.trim()}/stat`;
  return existsSync(stat) && new RegExp(`\\(${program}.*\\) [^Z]`).test(readFileSync(stat, 'utf8'));
}

/** Where an engine's socket may be, the most wanted first. */
function socketsOf(kind) {
  const runtime = process.env.XDG_RUNTIME_DIR;
  const own = placeOf(kind).socket;
  const named = (variable) => {
    const value = process.env[variable];
    return value?.startsWith('unix://') ? [value.slice('unix://'.length)] : [];
  };
  const root = process.getuid() === 0;
  switch (kind) {
    case 'docker':
      return [...named('DOCKER_HOST'), '/var/run/docker.sock', ...(runtime ? [`${runtime}/docker.sock`] : []), own];
    case 'podman':
      return [...named('CONTAINER_HOST'), ...(root ? ['/run/podman/podman.sock'] : []), own];
    case 'podman-rootless':
      return [
        ...(root ? [] : named('CONTAINER_HOST')),
        ...(!root && runtime ? [`${runtime}/podman/podman.sock`] : []),
        own,
      ];
    default:
      throw new Error(`no such engine: ${kind}`);
  }
}

async function versionAt(socketPath) {
  if (!existsSync(socketPath)) return undefined;
  const answer = await ask(socketPath, '/version').catch(() => undefined);
  return answer?.Version;
}

function placeOf(kind) {
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  const folder = isOfRootlessUser(kind)
    ? path.join(ROOTLESS_HOME, 'engine')
    : path.join(cache, 'shipyard/engines', kind);
  return {
    folder,
    data: path.join(folder, 'data'),
    run: path.join(folder, 'run'),
    socket: path.join(folder, `${kind}.sock`),
    pid: path.join(folder, 'pid'),
    /** Of what holds the user namespace of a Podman without root, and outlives it. */
    pausePid: path.join(folder, 'run/tmp/pause.pid'),
    log: path.join(folder, 'log'),
    claims: path.join(folder, 'claims'),
  };
}

async function start(kind, place) {
  const { bavail, bsize } = statfsSync(place.folder);
  if (bavail * bsize < MIN_FREE_BYTES)
    throw new Error(`less than ${MIN_FREE_BYTES / 1024 ** 3} GiB are free for the ${kind} engine in ${place.folder}`);
  installEngine(kind);
  step(`Starting a ${kind} engine of our own (${place.folder})`);
  const started = performance.now();
  const { command, env } = engineCommand(kind, place);
  const log = openSync(place.log, 'w', 0o600);
  const child = spawn(command[0], command.slice(1), { detached: true, stdio: ['ignore', log, log], cwd: '/', env });
  closeSync(log);
  child.unref();
  let ended;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = `it ended with ${signal ?? code}`));
  while (!(await versionAt(place.socket))) {
    if (ended === undefined && performance.now() - started > START_TIMEOUT_MS) ended = 'it did not answer in time';
    if (ended !== undefined) throw new Error(`${kind} did not start: ${ended}\n${lastLines(place.log)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  if (kind === 'podman-rootless') writeFileSync(place.pid, `${serviceOf(child.pid)}\n`);
  say(`    it answers after ${Math.round(performance.now() - started)} ms`);
}

/**
 * The process that serves: a Podman without root starts itself a second time, in its user namespace. Ended by a signal, the
 * first may leave the second behind.
 */
function serviceOf(first) {
  const lists = readdirSync(`/proc/${first}/task`).map((thread) => `/proc/${first}/task/${thread}/children`);
  const children = lists.filter((list) => existsSync(list)).flatMap((list) => readFileSync(list, 'utf8').split(' '));
  return children.find((pid) => pid !== '' && isRunning(pid, 'podman')) ?? first;
}

const lastLines = (file) => readFileSync(file, 'utf8').split('\n').slice(-15).join('\n');
