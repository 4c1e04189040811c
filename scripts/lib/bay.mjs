import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from './run.mjs';

/** A free port of 127.0.0.1; free at the time of asking. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * A Bay of its own on free loopback ports, with the local driver, an own token and a folder of its own for everything it
 * keeps; its ships end with it. `stop()` ends it and removes the folder.
 *
 * @param {Record<string, string>} environment more configuration
 */
export async function startOwnBay(environment = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-'));
  const token = randomBytes(24).toString('base64url');
  const [port, grpcPort] = [await freePort(), await freePort()];
  const log = openSync(path.join(folder, 'bay.log'), 'a');
  const bay = spawn(process.execPath, [path.join(root, 'dist/bay.js')], {
    cwd: folder,
    stdio: ['ignore', log, log],
    env: {
      ...process.env,
      CONTAINER_DRIVER: 'local',
      HOST: '127.0.0.1',
      PORT: `${port}`,
      GRPC_PORT: `${grpcPort}`,
      ACCESS_TOKEN: token,
      SHIPYARD_STATE_DIR: path.join(folder, 'state'),
      SHIP_DATA_DIR: path.join(folder, 'ships'),
      DATABASE_URL: `sqlite:///${path.join(folder, 'bay.db')}`,
      BAY_EPHEMERAL: '1',
      ...environment,
    },
  });
  closeSync(log);
  const exited = new Promise((resolve) => bay.once('exit', (code, signal) => resolve(signal ?? code)));
  const url = `http://127.0.0.1:${port}`;

  const stop = async () => {
    bay.kill('SIGTERM');
    const status = await exited;
    rmSync(folder, { recursive: true, force: true });
    return status;
  };
  try {
    await ready(url, exited);
  } catch (error) {
    const text = readFileSync(path.join(folder, 'bay.log'), 'utf8');
    await stop();
    throw new Error(`Bay did not start: ${error.message}\n${text}`);
  }
  return { url, port, grpcPort, token, folder, pid: bay.pid, exited, stop };
}

async function ready(url, exited) {
  const signal = AbortSignal.timeout(30_000);
  let over;
  void exited.then((status) => (over = status));
  while (over === undefined) {
    const answer = await fetch(`${url}/ready`, { signal }).catch((error) =>
      signal.aborted ? Promise.reject(error) : undefined,
    );
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`it ended with ${over}`);
}
