/**
 * Starts the agent from a V8 code cache: `node <arguments of ship/launch.json> run.cjs <configuration file>`. The cache
 * belongs to exactly this bundle, this V8 and its flags; V8 refuses any other, and the agent then starts without. Flags of
 * V8 in the arguments would cost more than they bring: Node's own code cache is refused under them too (20 ms).
 * Plain CommonJS, as loading an ES module first would cost more than the rest of it.
 */
'use strict';
const { mkdtempSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { Script } = require('node:vm');

/** Written here by the build: the bundle's name holds the digest of its content. */
const BUNDLE = '__BUNDLE__';

const filename = path.join(__dirname, BUNDLE);
const cacheFile = filename.replace(/\.cjs$/, '.cache');
const makesCache = process.argv[2] === '--make-cache';

function main() {
  const source = readFileSync(filename, 'latin1'); // the bundle is ASCII
  const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
    filename,
    cachedData: makesCache ? undefined : readCache(),
  });
  if (makesCache) makeCache(script);
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(filename), module, filename, __dirname);
}

function readCache() {
  try {
    return readFileSync(cacheFile);
  } catch {
    return undefined; // never made, or not readable: slower, not worse
  }
}

/** Starts an agent with nothing in it and keeps what V8 compiled until it listens. */
function makeCache(script) {
  const place = mkdtempSync(path.join(tmpdir(), 'shipyard-'));
  const config = {
    shipId: 'cache',
    incarnation: 1,
    token: '0'.repeat(64),
    listen: { kind: 'unix', path: path.join(place, 'agent.sock') },
    stateDir: path.join(place, 'state'),
    homesDir: place,
    runDir: place,
    supportDir: place,
    python: { executable: 'python3', prefixes: [] },
    sandbox: { kind: 'none' },
    logLevel: 'error',
  };
  process.argv[2] = path.join(place, 'agent.json');
  writeFileSync(process.argv[2], JSON.stringify(config), { mode: 0o600 });
  process.on('exit', () => rmSync(place, { recursive: true, force: true }));
  const end = Date.now() + 20_000;
  const look = () => {
    if (!existsSync(config.listen.path)) {
      if (Date.now() > end) throw new Error('the agent did not listen');
      setTimeout(look, 20);
      return;
    }
    writeFileSync(`${cacheFile}.new`, script.createCachedData(), { mode: 0o644 });
    renameSync(`${cacheFile}.new`, cacheFile);
    process.exit(0);
  };
  setTimeout(look, 50);
}

main();
