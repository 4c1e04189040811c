import { spawn } from 'node:child_process';
import { closeSync, createWriteStream, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { root } from './run.mjs';

/**
 * How a Bay is started: as a process of this machine, in a container, or in a cluster (bay-in-cluster.mjs). All answer
 * alike; `pid` is missing on another machine, and `address` says where it is reached if not at the ports that were wanted.
 *
 * @typedef {{ host: string, port: number, grpcPort: number }} BayAddress
 * @typedef {{ pid?: number, address?: BayAddress, exited: Promise<number | string>, kill(signal: 'SIGTERM' | 'SIGKILL'): void }} BayProcess
 * @typedef {{ folder: string, environment: Record<string, string>, ports: number[] }} BayPlace
 */

/** @param {BayPlace} place @returns {BayProcess} */
export function startBayProcess({ folder, environment }) {
  const log = openSync(path.join(folder, 'bay.log'), 'a');
  const child = spawn(process.execPath, [path.join(root, 'dist/bay.js')], {
    cwd: folder,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...environment },
    detached: true, // a terminal's Ctrl-C is for whoever started it, who then ends it in good order
  });
  closeSync(log);
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  return { pid: child.pid, exited, kill: (signal) => child.kill(signal) };
}

/**
 * Bay in a container beside its ships, as compose.yaml has it: root without a capability, with the engine's socket and its
 * own folder at the same path.
 *
 * @param {BayPlace} place @returns {Promise<BayProcess>}
 */
export async function startBayContainer({ folder, environment, ports }) {
  const Docker = createRequire(import.meta.url)('dockerode');
  const socketPath = socketOf(environment.CONTAINER_DRIVER);
  const docker = new Docker({ socketPath, host: undefined, port: undefined, protocol: 'http' });
  await ensureNetwork(docker, environment.DOCKER_NETWORK);
  const passedOn = ['DOCKER_IMAGE', 'LOG_LEVEL'].filter((name) => process.env[name]);
  const variables = {
    ...Object.fromEntries(passedOn.map((name) => [name, process.env[name]])),
    ...environment,
    HOST: '0.0.0.0',
    DOCKER_HOST: 'unix:///run/engine.sock',
  };
  const container = await docker.createContainer({
    Image: process.env.BAY_IMAGE ?? 'bay:latest',
    User: '0:0',
    WorkingDir: folder,
    Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    ExposedPorts: Object.fromEntries(ports.map((port) => [`${port}/tcp`, {}])),
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: environment.DOCKER_NETWORK,
      Binds: [`${folder}:${folder}`, `${socketPath}:/run/engine.sock`],
      PortBindings: Object.fromEntries(
        ports.map((port) => [`${port}/tcp`, [{ HostIp: '127.0.0.1', HostPort: `${port}` }]]),
      ),
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': 'mode=1777' },
    },
  });
  await container.start();
  const { State } = await container.inspect();
  return {
    pid: State.Pid,
    exited: over(container, path.join(folder, 'bay.log')),
    kill: (signal) => void kill(container, signal),
  };
}

/** Its exit code, after what it wrote was kept and it was removed. */
async function over(container, file) {
  const log = createWriteStream(file, { flags: 'a' });
  const said = await container.logs({ follow: true, stdout: true, stderr: true });
  container.modem.demuxStream(said, log, log);
  const { StatusCode } = await container.wait();
  await container.remove({ force: true, v: true });
  log.end();
  return StatusCode === 137 ? 'SIGKILL' : StatusCode;
}

function kill(container, signal) {
  return container.kill({ signal }).catch((error) => {
    if (error.statusCode !== 404 && error.statusCode !== 409) throw error; // it ended by itself
  });
}

async function ensureNetwork(docker, name) {
  const networks = await docker.listNetworks();
  if (networks.some(({ Name }) => Name === name)) return;
  await docker.createNetwork({ Name: name, Driver: 'bridge', CheckDuplicate: true });
}

function socketOf(driver) {
  const host = (driver === 'podman' ? process.env.CONTAINER_HOST : undefined) ?? process.env.DOCKER_HOST;
  return host?.startsWith('unix://') ? host.slice('unix://'.length) : '/var/run/docker.sock';
}
