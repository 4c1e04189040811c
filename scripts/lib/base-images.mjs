/**
 * The images that ours are built on. Where no registry can be reached they are made here, from Debian's and npm's
 * packages, under the names that the Dockerfiles ask for.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fail, say, step } from './log.mjs';
import { packImage } from './pack-image.mjs';
import { root, run, runQuietly, works } from './run.mjs';

/** A registry that says nothing for this long is none. */
const PULL_IDLE_MS = 20_000;
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
/** Programs that do not look into the system's certificates by themselves. */
const CERTIFICATE_VARIABLES = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'PIP_CERT'];
/** npm as it comes with the Node of the Dockerfiles. */
const NPM_MAJOR = 10;

/** The base images of a Dockerfile, by argument: its arguments of the name *_IMAGE. */
export function baseImagesOf(dockerfile) {
  const text = readFileSync(path.join(root, dockerfile), 'utf8');
  return Object.fromEntries([...text.matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm)].map(([, ...pair]) => pair));
}

/**
 * Sees to it that the engine has these images, and answers the arguments that name them.
 *
 * A name holds one platform at a time in most engines. What is pulled takes it over, and the next build for another
 * platform pulls again; what is made here for a platform that is asked for gets a name of its own.
 *
 * @param {import('./image-engine.mjs').ImageEngine} engine
 * @param {Record<string, string>} bases
 * @param {string} [platform] linux/amd64 or linux/arm64; default: the engine's own
 * @returns {Promise<Record<string, string>>}
 */
export async function ensureBaseImages(engine, bases, platform) {
  const architecture = platform?.replace('linux/', '') ?? (await engine.architecture());
  const isThere = async (name) => (await engine.inspect(name))?.Architecture === architecture;
  const found = {};
  let registry = true;
  for (const [argument, name] of Object.entries(bases)) {
    const standIn = platform ? `localhost/${path.basename(name)}-${architecture}` : name;
    found[argument] = (await isThere(standIn)) ? standIn : name;
    if (await isThere(found[argument])) continue;
    if (registry) {
      step(`Fetching ${name}`);
      try {
        await engine.pull(name, { idleMs: PULL_IDLE_MS, platform });
        continue;
      } catch (error) {
        say(`    no: ${error.message.trim()}`);
        registry = false;
      }
    }
    say(`    No image registry can be reached: ${standIn} is made here, from Debian's packages and npm's.`);
    await makeStandIn(engine, standIn, architecture);
    found[argument] = standIn;
  }
  return found;
}

/** The Debian and the Node that an image's name tells, with this machine's certificates. */
async function makeStandIn(engine, name, architecture) {
  const release = /\b(trixie|bookworm)\b/.exec(name)?.[1];
  if (!release) fail(`No stand-in can be made for ${name}: its name tells no Debian release.`);
  const platform = `linux/${architecture}`;
  const debian = `localhost/shipyard-stand-in:${release}-${architecture}`;
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-base-'));
  try {
    if (!(await engine.inspect(debian))) {
      const fileSystem = makeDebian(release, architecture, folder);
      await engine.load(await packImage(fileSystem, { name: debian, architecture }));
    }
    const node = /node:([\d.]+)/.exec(name)?.[1];
    if (node) putNode(node, architecture, path.join(folder, 'image'));
    await engine.build({ context: makeContext(name, debian, path.join(folder, 'image')), tag: name, platform });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Answers the archive of the file system. */
function makeDebian(release, architecture, folder) {
  installMmdebstrap();
  const archive = path.join(folder, 'debian.tar');
  const mirror = debianMirror();
  const slim = ['doc', 'man', 'info', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  const args = [
    '--variant=minbase',
    `--architectures=${architecture}`,
    ...slim,
    '--include=ca-certificates',
    release,
    archive,
    ...(mirror ? [mirror] : []),
  ];
  if (!runQuietly(`Making Debian ${release}`, 'mmdebstrap', args)) fail('mmdebstrap failed.');
  return archive;
}

/** What stands on top of Debian, as the context of a build. */
function makeContext(name, debian, folder) {
  const files = path.join(folder, 'files');
  const certificates = existsSync(CERTIFICATES);
  if (certificates) {
    mkdirSync(path.dirname(path.join(files, CERTIFICATES)), { recursive: true });
    copyFileSync(CERTIFICATES, path.join(files, CERTIFICATES));
  }
  const variables = certificates ? CERTIFICATE_VARIABLES.map((key) => `ENV ${key}=${CERTIFICATES}`) : [];
  const lines = [`FROM ${debian}`, 'COPY files /', ...variables, `LABEL org.shipyard.stand-in="${name}"`];
  mkdirSync(files, { recursive: true });
  writeFileSync(path.join(folder, 'Dockerfile'), `${lines.join('\n')}\nCMD ["bash"]\n`);
  return folder;
}

/** Node and npm, where the public images have them. */
function putNode(version, architecture, folder) {
  const local = path.join(folder, 'files/usr/local');
  const modules = path.join(local, 'lib/node_modules');
  mkdirSync(modules, { recursive: true });
  mkdirSync(path.join(local, 'bin'));
  const unpacked = `${folder}-node`;
  unpack(`node-linux-${architecture === 'amd64' ? 'x64' : architecture}@${version}`, unpacked);
  for (const part of ['bin/node', 'include']) run('cp', ['-r', path.join(unpacked, part), path.join(local, part)]);
  unpack(`npm@${NPM_MAJOR}`, path.join(modules, 'npm'));
  for (const tool of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${tool}-cli.js`, path.join(local, 'bin', tool));
}

function unpack(npmPackage, folder) {
  mkdirSync(folder, { recursive: true });
  run('npm', ['pack', '--silent', '--pack-destination', folder, npmPackage], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [archive] = readdirSync(folder);
  run('tar', ['-xzf', path.join(folder, archive), '--strip-components=1', '-C', folder]);
  rmSync(path.join(folder, archive));
}

function installMmdebstrap() {
  if (works('mmdebstrap', ['--version'])) return;
  const line = 'apt-get install -y --no-install-recommends mmdebstrap';
  const asRoot = process.getuid() === 0 && works('apt-get', ['--version']);
  if (asRoot && runQuietly('Reading the package lists', 'apt-get', ['update'])) {
    const [command, ...args] = line.split(' ');
    if (runQuietly('Installing mmdebstrap', command, args)) return;
  }
  fail(`Base images cannot be made without mmdebstrap. Install it, or make a registry reachable: sudo ${line}`, 3);
}

/** The mirror of Debian that this machine uses, where it is a Debian that names one. */
function debianMirror() {
  const lists = '/etc/apt/sources.list.d';
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(lists) ? readdirSync(lists).map((name) => `${lists}/${name}`) : []),
  ];
  for (const file of files.filter((name) => /\.(list|sources)$/.test(name) && existsSync(name))) {
    const found = /^(?:URIs:|deb\b(?:\s*\[[^\]]*\])?)\s*(https?:\/\/\S+\/debian)\/?(?:\s|$)/m.exec(
      readFileSync(file, 'utf8'),
    );
    if (found) return found[1];
  }
  return undefined;
}
