/** compose.yaml as it stands: one command, a token of one's own, and a ship that answers. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { load } from 'js-yaml';
import { removeFilterOf } from '../../scripts/lib/engine-traces.mjs';
import { works } from '../../scripts/lib/run.mjs';
import { unless } from '../../scripts/lib/unless.mjs';
import { VARIABLES } from '../config/variables.js';
import { eventually } from './testing/processes.js';
import { TEST_DRIVER } from './testing/test-engine.js';

const run = promisify(execFile);
const file = path.resolve(import.meta.dirname, '../../compose.yaml');
const kind = TEST_DRIVER.startsWith('podman') ? 'podman' : 'docker';
/** As the engine's address is named to these tests. */
const host = process.env[kind === 'podman' ? 'CONTAINER_HOST' : 'DOCKER_HOST'];
const why = !/^(docker|podman)/.test(TEST_DRIVER)
  ? 'needs Docker or Podman: npm run test:docker, npm run test:podman'
  : works('docker-compose', ['version'])
    ? undefined
    : 'no docker-compose here';

/** Ports and the socket are compose's own, TLS needs files; the rest is of other drivers. */
const OF_OTHERS =
  /^(PORT|GRPC_PORT|TLS_.*|DOCKER_HOST|DOCKER_CERT_PATH|CONTAINER_HOST|KUBE.*|LOCAL_.*|SHIPYARD_PYTHON)$/;

/** Of this test alone, beside whatever else runs on the machine. */
const NAME = 'shipyard-compose-test';
const ADDRESS = '127.0.0.77';

describe('compose.yaml', () => {
  const token = randomBytes(24).toString('base64url');
  const ships = mkdtempSync(path.join(tmpdir(), 'shipyard-compose-'));
  afterAll(() => rmSync(ships, { recursive: true, force: true }));

  const compose = async (args: string[], environment: Record<string, string> = { ACCESS_TOKEN: token }) => {
    const { ACCESS_TOKEN: _, ...rest } = process.env;
    const env = {
      ...rest,
      ...environment,
      BAY_ADDRESS: ADDRESS,
      DOCKER_NETWORK: NAME,
      DOCKER_SOCKET: host?.replace(/^unix:\/\//, '') ?? '/var/run/docker.sock',
      ...(kind === 'podman' ? { CONTAINER_DRIVER: kind, DOCKER_HOST: host } : {}),
      SHIP_DATA_DIR: ships,
    };
    return run('docker-compose', ['-p', NAME, '-f', file, ...args], { env, timeout: 100_000 });
  };
  const ask = (method: string, route: string, body?: object, authorization = `Bearer ${token}`) =>
    fetch(`http://${ADDRESS}:8156${route}`, {
      method,
      headers: { authorization, 'x-session-id': 'compose', 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });

  it('passes on every variable of Bay that a container beside its ships can use', () => {
    const { services } = load(readFileSync(file, 'utf8')) as { services: { bay: { environment: object } } };
    const passed = Object.keys(services.bay.environment);
    expect(Object.keys(VARIABLES).filter((name) => !passed.includes(name) && !OF_OTHERS.test(name))).toEqual([]);
  });

  unless(why, it)('does not start without a token, and says what to do', async () => {
    await expect(compose(['up', '-d'], {})).rejects.toMatchObject({
      stderr: expect.stringContaining('set a token of your own') as string,
    });
  });

  unless(why, it)('brings up Bay, which is healthy and gives whoever has the token a ship that answers', async () => {
    try {
      // Podman's checks of health are timers of systemd, which need not run here.
      await compose(['up', '-d', ...(kind === 'podman' ? [] : ['--wait'])]);
      await eventually('Bay is ready', async () => (await ask('GET', '/ready').catch(() => undefined))?.ok === true);
      expect((await ask('GET', '/ships', undefined, 'Bearer wrong')).status).toBe(401);
      const created = await ask('POST', '/ship', { ttl: 600 });
      expect(created.status).toBe(201);
      const { id } = (await created.json()) as { id: string };
      const answer = await ask('POST', `/ship/${id}/exec`, { type: 'ipython/exec', payload: { code: '6*7' } });
      expect(await answer.text()).toContain('"text":"42"');
      expect((await ask('DELETE', `/ship/${id}`)).ok).toBe(true);
    } finally {
      await compose(['down', '--volumes', '--timeout', '20']);
      removeFilterOf(NAME);
    }
  });
});
