/**
 * `npm run test:docker` and `npm run test:podman`: what depends on a container engine, over a real one that runs here or
 * that is started for the time of the tests: images, driver conformance, then the end-to-end suites with Bay on the machine
 * and, where the engine has root, in a container beside its ships.
 *
 *   node scripts/test-engine.mjs docker | podman | podman-rootless [driver] [host] [container]   all parts, or those named
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { makeImages, BAY, SHIP, SLIM } from './images.mjs';
import { asRootlessUser, isOfRootlessUser } from './lib/engine-commands.mjs';
import { ensureEngine } from './lib/engines.mjs';
import { removeTestNetwork, tracesOf } from './lib/engine-traces.mjs';
import { ensureGoTool, toolsFolder } from './lib/go-tools.mjs';
import { fail, say, seconds, step } from './lib/log.mjs';
import { root, works } from './lib/run.mjs';
import { runInContainer } from './lib/run-in-container.mjs';
import { setUp } from './setup.mjs';

/** Podman builds the slim image, so that the large one is built once. */
const ENGINES = {
  docker: {
    images: [SHIP, BAY],
    variable: 'DOCKER_HOST',
    onHost: 'docker-host',
    inContainer: 'docker',
    more: ['compose'],
  },
  podman: {
    images: [SLIM, BAY],
    variable: 'CONTAINER_HOST',
    onHost: 'podman-host',
    inContainer: 'podman',
    more: ['compose'],
  },
  // Without root there is no filter of networks, and no Bay that reaches ships by their addresses.
  'podman-rootless': { images: [SLIM], variable: 'CONTAINER_HOST', onHost: 'podman-rootless-host', parts: ['driver'] },
};
/** With Bay on the machine: everything that a user sees, and what goes wrong behind Bay's back. */
const ON_HOST = ['scenarios', 'durability', 'engine-faults', 'probe'];
const IN_CONTAINER = ['scenarios'];
const DRIVER = 'src/drivers/engine-driver';
const JEST = [
  ...['--experimental-vm-modules', '--no-warnings'],
  ...[path.join(root, 'node_modules/jest/bin/jest.js'), '--runInBand'],
];

const [kind = '', ...named] = process.argv.slice(2);
const chosen = ENGINES[kind];
if (!chosen) fail(`Which engine? ${Object.keys(ENGINES).join(', ')}.`, 2);

const PARTS = {
  driver: () => (isOfRootlessUser(kind) ? testAsRootlessUser : test)('driver', [DRIVER], environment()),
  host: () =>
    test(chosen.onHost, suites([...ON_HOST, ...(chosen.more ?? [])]), {
      ...environment(),
      SHIPYARD_TEST_DRIVER: chosen.onHost,
    }),
  container: async () => {
    await testInContainer(`${chosen.inContainer}: driver`, [`${DRIVER}/engine-conformance`]);
    await test(chosen.inContainer, suites(IN_CONTAINER), {
      ...environment(),
      SHIPYARD_TEST_DRIVER: chosen.inContainer,
    });
  },
};
const possible = chosen.parts ?? Object.keys(PARTS);
for (const part of named) if (!possible.includes(part)) fail(`No part "${part}"; there are ${possible.join(', ')}.`, 2);
const parts = named.length > 0 ? named : possible;

const failed = [];
setUp();
if (chosen.more?.includes('compose')) ensureGoTool('docker-compose');
const engine = await ensureEngine(kind).catch((error) => fail(error.message, 3));
say(`${kind} ${engine.version} at ${engine.socketPath}${engine.started ? ', started for these tests' : ''}`);
const before = await tracesOf(engine);
try {
  await makeImages({ kind, images: chosen.images });
  for (const part of parts) {
    await PARTS[part]();
    await removeTestNetwork(engine); // Bays on the machine and in containers have no network in common
  }
  const left = (await tracesOf(engine)).filter((trace) => !before.includes(trace));
  for (const trace of left) say(`left behind: ${trace}`);
  if (left.length > 0) failed.push('left-overs');
} finally {
  await engine.stop();
}
if (failed.length > 0) fail(`Tests over ${kind} failed: ${failed.join(', ')}.`);

function environment() {
  const { images, variable, onHost } = chosen;
  return {
    ...process.env,
    PATH: `${toolsFolder}:${process.env.PATH}`,
    DOCKER_IMAGE: images[0].tag,
    [variable]: engine.host,
    SHIPYARD_TEST_ENGINES: onHost,
  };
}

function suites(names) {
  return names.map((name) => `src/e2e/${name}.test.ts`);
}

/** The driver itself in a container, as Bay has it there. */
async function testInContainer(title, files) {
  step(`tests over ${kind}: ${title}`);
  const began = performance.now();
  const image = chosen.images[0].tag;
  const env = { SHIPYARD_TEST_ENGINES: chosen.inContainer, DOCKER_IMAGE: image };
  // A connection begun to a ship that is gone would hold the process for as long as the kernel tries, some two minutes.
  const args = [...JEST, '--forceExit', ...files];
  if ((await runInContainer({ socketPath: engine.socketPath, image, args, env })) !== 0) failed.push(title);
  say(`    ${seconds(began)}`);
}

async function test(title, files, env) {
  step(`tests over ${kind}: ${title}`);
  const began = performance.now();
  const command = [process.execPath, path.join(root, 'scripts/test.mjs'), 'only', '--', ...files];
  // The first failure does not end the run: the engine is stopped in any case, and the other suites have their say.
  await show(title, { command, env });
  say(`    ${seconds(began)}`);
}

/** As the user who has the engine: Bay is that user's, and so are the folders of ships. */
async function testAsRootlessUser(title, files, env) {
  step(`tests over ${kind}: ${title}`);
  const { command: look } = asRootlessUser([process.execPath, '-e', `fs.readdirSync(${JSON.stringify(root)})`], env);
  if (!works(look[0], look.slice(1)))
    return say(`skipped: tests over ${kind}: the user who has the engine cannot read ${root}, or not run this Node`);
  await show(title, asRootlessUser([process.execPath, ...JEST, ...files], env));
}

async function show(title, { command: [program, ...args], env }) {
  const child = spawn(program, args, { stdio: 'inherit', cwd: root, env });
  const [code] = await once(child, 'exit');
  if (code !== 0) failed.push(title);
}
