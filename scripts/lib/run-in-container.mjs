import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from './run.mjs';

/**
 * Runs Node on this checkout in a container of an engine, as Bay runs in one: root without a capability, with the engine's
 * socket, and a temporary folder that lies at the same path outside. Its output is shown.
 *
 * @param {{ socketPath: string, image: string, args: string[], env: Record<string, string> }} job
 * @returns {Promise<number>} its exit code
 */
export async function runInContainer({ socketPath, image, args, env }) {
  const Docker = createRequire(import.meta.url)('dockerode');
  const docker = new Docker({ socketPath, host: undefined, port: undefined, protocol: 'http' });
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-in-'));
  const variables = { ...env, HOME: folder, TMPDIR: folder, DOCKER_HOST: SOCKET_URL, CONTAINER_HOST: SOCKET_URL };
  const container = await docker.createContainer({
    Image: image,
    User: '0:0',
    Entrypoint: ['node'],
    Cmd: args,
    WorkingDir: root,
    Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      Binds: [`${root}:${root}:ro`, `${folder}:${folder}`, `${socketPath}:${SOCKET}`],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
    },
  });
  try {
    await container.start();
    const said = await container.logs({ follow: true, stdout: true, stderr: true });
    docker.modem.demuxStream(said, process.stdout, process.stderr);
    const { StatusCode } = await container.wait();
    return StatusCode;
  } finally {
    await container.remove({ force: true, v: true });
    rmSync(folder, { recursive: true, force: true });
  }
}

const SOCKET = '/run/engine.sock';
const SOCKET_URL = `unix://${SOCKET}`;
