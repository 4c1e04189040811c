import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startBayInCluster } from './bay-in-cluster.mjs';
import { startBayContainer, startBayProcess } from './bay-process.mjs';

/** Bay gives open calls 10 s, then ends its ships. */
const STOP_MS = 60_000;
/** An engine's proxy may take a connection before Bay is there, and never pass it on. */
const TRY_MS = 1_000;

/**
 * A Bay of its own on free loopback ports, with an own token and a folder of its own for everything it keeps; its ships end
 * with it. For the demo, the end-to-end suite and the benchmarks. SHIPYARD_TEST_DRIVER names the driver, `local` else; with
 * `docker` and `podman` Bay runs in a container of that engine, with SHIPYARD_TEST_BAY_NAMESPACE in a cluster.
 *
 * @param {Record<string, string>} environment more configuration
 */
export async function startOwnBay(environment = {}) {
  const bay = new OwnBay(environment, await freePort(), await freePort());
  await bay.restart();
  return bay;
}

const IN_CONTAINER = new Set(['docker', 'podman']);

function placeOf({ CONTAINER_DRIVER: driver }) {
  if (driver === 'kubernetes' && process.env.SHIPYARD_TEST_BAY_NAMESPACE) return startBayInCluster;
  return IN_CONTAINER.has(driver) ? startBayContainer : startBayProcess;
}

class OwnBay {
  folder = mkdtempSync(path.join(tmpdir(), 'shipyard-'));
  token = randomBytes(24).toString('base64url');
  #environment;
  #process;
  #watchdog;

  constructor(environment, port, grpcPort) {
    this.#environment = environment;
    this.#reachedAt({ host: '127.0.0.1', port, grpcPort });
  }

  #reachedAt({ host, port, grpcPort }) {
    this.port = port;
    this.grpcPort = grpcPort;
    this.url = `http://${host}:${port}`;
    this.grpcAddress = `${host}:${grpcPort}`;
  }

  get pid() {
    return this.#process.pid;
  }

  /** After the first start a watchdog waits for this process's end: killed or not, Bay and the folder go with it. */
  async restart() {
    const environment = { ...this.#configuration(), ...this.#environment };
    const ports = [this.port, this.grpcPort];
    this.#process = await placeOf(environment)({ folder: this.folder, environment, ports });
    if (this.#process.address) this.#reachedAt(this.#process.address);
    this.#watchdog?.stdin.end('keep\n');
    this.#watchdog = startWatchdog(this.folder, this.#process.pid);
    this.exited = this.#process.exited;
    try {
      await ready(this.url, this.exited);
    } catch (error) {
      const text = readFileSync(path.join(this.folder, 'bay.log'), 'utf8');
      await this.stop();
      throw new Error(`Bay did not start: ${error.message}\n${text}`);
    }
  }

  async kill() {
    this.#process.kill('SIGKILL');
    await this.exited;
  }

  async stop() {
    this.#process.kill('SIGTERM');
    const impatience = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS);
    const status = await this.exited;
    clearTimeout(impatience);
    rmSync(this.folder, { recursive: true, force: true });
    this.#watchdog.stdin.end('keep\n');
    return status;
  }

  #configuration() {
    return {
      CONTAINER_DRIVER: process.env.SHIPYARD_TEST_DRIVER ?? 'local',
      DOCKER_NETWORK: 'shipyard-test',
      HOST: '127.0.0.1',
      PORT: `${this.port}`,
      GRPC_PORT: `${this.grpcPort}`,
      ACCESS_TOKEN: this.token,
      SHIPYARD_STATE_DIR: path.join(this.folder, 'state'),
      SHIP_DATA_DIR: path.join(this.folder, 'ships'),
      DATABASE_URL: `sqlite:///${path.join(this.folder, 'bay.db')}`,
      BAY_EPHEMERAL: '1',
    };
  }
}

/** A free port of 127.0.0.1; free at the time of asking. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ready(url, exited) {
  const signal = AbortSignal.timeout(30_000);
  let over;
  void exited.then((status) => (over = status));
  while (over === undefined) {
    signal.throwIfAborted();
    const answer = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(TRY_MS) }).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`it ended with ${over}`);
}

/**
 * Reads its input until whoever started it ends. "keep" sends it away; without that word the starter was killed: Bay is
 * asked to end, and the folder goes, a second time after the ships have noticed that Bay is gone (5 s).
 */
function startWatchdog(folder, pid) {
  const script = `
    read -r word && exit 0
    grep -q bay.js "/proc/$2/cmdline" 2>/dev/null && kill -TERM "$2"
    for i in $(seq 100); do kill -0 "$2" 2>/dev/null || break; sleep 0.1; done
    rm -rf "$1"; sleep 7; rm -rf "$1"`;
  const watchdog = spawn('sh', ['-c', script, 'sh', folder, `${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.unref();
  watchdog.stdin.unref();
  watchdog.stdin.on('error', () => {}); // gone already: nothing is left to tell it
  return watchdog;
}
