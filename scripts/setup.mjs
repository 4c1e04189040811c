/**
 * Makes a fresh clone ready: Debian packages, npm packages, generated code, bundles, a Python environment. Each step looks
 * first and does nothing where all is well, so that every command can call it.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureDebianPackages } from './lib/debian.mjs';
import { fail } from './lib/log.mjs';
import { ensurePython } from './lib/python.mjs';
import { root, runQuietly, works } from './lib/run.mjs';
import { filesUnder } from './lib/tree.mjs';

const stamps = path.join(root, '.cache');

export function setUp() {
  checkNode();
  ensureDebianPackages({ compiler: !nativesWork() });
  ensureNpmPackages();
  ensureGenerated();
  ensureBuilt();
  ensurePython();
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Node ${process.versions.node} is too old: Shipyard needs 20.19 or later.`, 3);
}

/** Loads each of them; better-sqlite3, of which src/store/sqlite.ts tells the versions, does so with its first database. */
function nativesWork() {
  const sqlite = Number(process.versions.napi) >= 10 ? 'better-sqlite3' : 'better-sqlite3-12';
  const load = `new (require('${sqlite}'))(':memory:'); require('node-pty');`;
  return works(process.execPath, ['-e', load], { cwd: root });
}

function ensureNpmPackages() {
  const lock = digest([path.join(root, 'package-lock.json')]);
  if (fresh('npm', `${lock} ${process.versions.modules}`) && nativesWork()) return;
  // Headers that lie beside this Node serve for compiling, so that nothing needs to be downloaded for it.
  const prefix = path.dirname(path.dirname(process.execPath));
  const headers = existsSync(path.join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
  const env = { ...process.env, ...headers, NODE_ENV: 'development' };
  if (
    !runQuietly(
      'Installing npm packages (native ones are compiled: a minute or two)',
      'npm',
      ['ci', '--no-audit', '--no-fund'],
      { env },
    )
  ) {
    fail('npm ci failed.');
  }
  if (!nativesWork())
    fail(
      'The native npm packages (better-sqlite3, node-pty) were not built; g++, make and python3 are needed for that.',
      3,
    );
  remember('npm', `${lock} ${process.versions.modules}`);
}

function ensureGenerated() {
  const sources = digest([
    ...filesUnder('proto', ['.proto']),
    ...['buf.gen.yaml', 'package.json', 'package-lock.json'].map((name) => path.join(root, name)),
  ]);
  if (fresh('gen', sources) && existsSync(path.join(root, 'proto/gen/shipyard'))) return;
  if (!runQuietly('Generating code from the protos', 'npm', ['run', '--silent', 'gen'])) fail('buf generate failed.');
  remember('gen', sources);
}

function ensureBuilt() {
  const sources = digest([
    ...filesUnder('proto', ['.ts', '.proto', '.binpb']),
    ...filesUnder('src', ['.ts']),
    ...filesUnder('ship/src', ['.ts']),
    path.join(root, 'ship/launch.json'),
    path.join(root, 'scripts/build.mjs'),
    path.join(root, 'scripts/lib/agent-loader.cjs'),
  ]);
  if (fresh('build', sources) && existsSync(path.join(root, 'dist'))) return;
  if (!runQuietly('Building', process.execPath, ['scripts/build.mjs'])) fail('The build failed.');
  remember('build', sources);
}

function digest(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file.slice(root.length)).update(existsSync(file) ? readFileSync(file) : '');
  return hash.digest('hex');
}

const fresh = (name, value) =>
  existsSync(path.join(stamps, name)) && readFileSync(path.join(stamps, name), 'utf8') === value;

function remember(name, value) {
  mkdirSync(stamps, { recursive: true });
  writeFileSync(path.join(stamps, name), value);
}

if (process.argv[1] === import.meta.filename) setUp();
