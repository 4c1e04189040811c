/**
 * Bundles the programs: dist/bay.js and dist/stop.js with their npm packages left where they are, and the agent as one file
 * with everything but its native modules, since it starts once for every ship: dist/ship.js runs dist/ship/agent.cjs from
 * a V8 code cache that is made here.
 */
import { build } from 'esbuild';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root, run } from './lib/run.mjs';

const common = { bundle: true, platform: 'node', target: 'node20', sourcemap: 'linked', logLevel: 'warning', absWorkingDir: root };
const dist = path.join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
mkdirSync(path.join(dist, 'ship'), { recursive: true });

await build({
  ...common,
  entryPoints: { bay: 'src/main.ts', ...(existsSync(path.join(root, 'src/cli/stop.ts')) ? { stop: 'src/cli/stop.ts' } : {}) },
  outdir: 'dist',
  format: 'esm',
  packages: 'external',
});
await build({
  ...common,
  entryPoints: { 'ship/agent': 'ship/src/main.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  minify: true,
  keepNames: true, // errors are told apart by their names
  sourcemap: false,
  external: ['zeromq', 'node-pty', '*.node'],
  // As require(): a script from a code cache has no dynamic import.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' },
});
writeFileSync(path.join(dist, 'ship.js'), loader());
run(process.execPath, [path.join(dist, 'ship.js'), '--make-cache']);

/** A cache of another V8 is refused by V8 itself; the agent then starts without, some 20 ms later. */
function loader() {
  return `import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';

const filename = path.join(import.meta.dirname, 'ship/agent.cjs');
const cacheFile = filename.replace('.cjs', '.cache');
const require = createRequire(filename);
const wrapper = ['(function (exports, require, module, __filename, __dirname) {', '\\n})'].join(readFileSync(filename, 'utf8'));
const makeCache = process.argv[2] === '--make-cache';
const cachedData = !makeCache && existsSync(cacheFile) ? readFileSync(cacheFile) : undefined;
const script = new vm.Script(wrapper, { filename, cachedData });
if (makeCache) {
  writeFileSync(cacheFile, script.createCachedData());
} else {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, filename, path.dirname(filename));
}
`;
}
