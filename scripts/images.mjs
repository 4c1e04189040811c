/** `npm run images`: builds the images of ships and of Bay with the engine that is found, or with one of our own. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { alone } from './lib/alone.mjs';
import { baseImagesOf, ensureBaseImages } from './lib/base-images.mjs';
import { loadIntoCluster } from './lib/cluster.mjs';
import { ensureEngine, findEngine } from './lib/engines.mjs';
import { ImageEngine } from './lib/image-engine.mjs';
import { fail, say, seconds, step } from './lib/log.mjs';
import { root } from './lib/run.mjs';

const HELP = `
npm run images                             ship:latest (everything) and bay:latest
npm run images -- --slim                   ship:slim instead, without the data-science packages; Bay with --bay
npm run images -- --platform linux/arm64   for this platform (or linux/amd64), as ship:latest-arm64 and bay:latest-arm64
npm run images -- --load-kubernetes        puts what it built into the nodes of the test cluster as well
npm run images -- --engine podman          with Podman (docker, podman, podman-rootless); default: what runs, Docker first
`;

export const SHIP = { dockerfile: 'Dockerfile.ship', target: 'full', tag: 'ship:latest' };
export const SLIM = { dockerfile: 'Dockerfile.ship', target: 'slim', tag: 'ship:slim' };
export const BAY = { dockerfile: 'Dockerfile.bay', tag: 'bay:latest' };

/** What is not the engine's own is built where the kernel has an emulator for it. */
const PLATFORMS = ['linux/amd64', 'linux/arm64'];

export async function makeImages({ kind, images, platform, loadKubernetes = false }) {
  const engine = await ensureEngine(kind);
  try {
    say(`${engine.kind} ${engine.version} at ${engine.socketPath}${engine.started ? ' (ours)' : ''}`);
    const maker = new ImageEngine(engine);
    // Of two builds at once, one would remove as left over what the other stands on just then.
    await alone(
      `images ${engine.socketPath}`,
      async () => {
        const wanted = Object.assign({}, ...images.map(({ dockerfile }) => baseImagesOf(dockerfile)));
        const bases = await ensureBaseImages(maker, wanted, platform);
        const args = { ...buildArguments(), ...bases };
        for (const image of images) await build(maker, { ...image, platform, args });
        await maker.prune();
      },
      () => say('    another build is at work with this engine: waiting for its end'),
    );
    if (loadKubernetes) for (const { tag } of images) await load(maker, tag);
  } finally {
    await engine.stop();
  }
}

async function load(maker, tag) {
  step(`Loading ${tag} into the test cluster`);
  const began = performance.now();
  await loadIntoCluster(maker, tag);
  say(`    ${seconds(began)}`);
}

async function build(maker, image) {
  step(`Building ${image.tag}`);
  const began = performance.now();
  const log = path.join(root, '.cache', `image-${image.tag.replace(':', '-')}.log`);
  mkdirSync(path.dirname(log), { recursive: true });
  writeFileSync(log, '');
  const onText = (text) => {
    appendFileSync(log, text);
    // Podman writes STEP 1/20, Docker Step 1/20.
    if (/^(\[\d+\/\d+\] )?step \d+\/\d+/i.test(text)) say(`    ${text.trim().split('\n')[0].slice(0, 110)}`);
  };
  try {
    await maker.build({ ...image, context: root }, onText);
  } catch (error) {
    process.stderr.write(readFileSync(log, 'utf8').slice(-6000));
    fail(`Building ${image.tag} failed: ${error.message.trim()}\nEverything it said: ${log}`);
  }
  const { Size: bytes } = await maker.inspect(image.tag);
  say(`    ${image.tag}: ${Math.round(bytes / 1e6)} MB, ${seconds(began)}`);
}

/** What the machine's own package managers are told of mirrors and proxies. Predefined ones leave no trace in an image. */
function buildArguments() {
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()]);
  const args = Object.fromEntries(proxies.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
  const index = process.env.PIP_INDEX_URL ?? said('python3', ['-m', 'pip', 'config', 'get', 'global.index-url']);
  if (index) args.PIP_INDEX_URL = index;
  const registry = said('npm', ['config', 'get', 'registry']);
  if (registry && !registry.startsWith('https://registry.npmjs.org')) args.NPM_CONFIG_REGISTRY = registry;
  return args;
}

function said(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', cwd: '/' });
  return status === 0 ? stdout.trim() : undefined;
}

function parsed(options) {
  try {
    return parseArgs({ options });
  } catch (error) {
    return fail(`${error.message}\n${HELP}`, 2);
  }
}

/** Images for a platform that is asked for stand beside the engine's own: their tags end in the architecture. */
function named(platform) {
  if (platform !== undefined && !PLATFORMS.includes(platform))
    fail(`No platform "${platform}", only ${PLATFORMS.join(' and ')}.`, 2);
  return (image) => (platform ? { ...image, tag: `${image.tag}-${path.basename(platform)}` } : image);
}

async function chooseEngine(wanted) {
  const kinds = ['docker', 'podman', ...(process.getuid() === 0 ? [] : ['podman-rootless'])];
  if (wanted) return [...kinds, 'podman-rootless'].includes(wanted) ? wanted : fail(`No engine "${wanted}".`, 2);
  for (const kind of kinds) if (await findEngine(kind)) return kind;
  return 'docker';
}

if (process.argv[1] === import.meta.filename) {
  const options = {
    slim: { type: 'boolean' },
    bay: { type: 'boolean' },
    'load-kubernetes': { type: 'boolean' },
    platform: { type: 'string' },
    engine: { type: 'string' },
    help: { type: 'boolean' },
  };
  const { values } = parsed(options);
  if (values.help) {
    say(HELP);
    process.exit(0);
  }
  try {
    const ship = values.slim ? SLIM : SHIP;
    const images = (values.slim && !values.bay ? [ship] : [ship, BAY]).map(named(values.platform));
    const { platform, 'load-kubernetes': loadKubernetes } = values;
    await makeImages({ kind: await chooseEngine(values.engine), images, platform, loadKubernetes });
  } catch (error) {
    fail(error.message);
  }
}
