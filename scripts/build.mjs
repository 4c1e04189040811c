/**
 * Bundles the programs: dist/bay.js, dist/stop.js and dist/health.js with their npm packages left where they are, and the agent as one file
 * with everything but its native modules, since it starts once for every ship: dist/ship/run.cjs runs it from a V8 code
 * cache that is made here.
 */
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root, run } from './lib/run.mjs';

const dist = path.join(root, 'dist');
const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
  absWorkingDir: root,
};

/** grpc-js takes it along for channelz and load reports, which the agent does not have. */
const withoutProtoLoader = {
  name: 'without-proto-loader',
  setup(builder) {
    builder.onResolve({ filter: /^@grpc\/proto-loader$/ }, () => ({ path: 'proto-loader', namespace: 'absent' }));
    builder.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({
      contents: `export const loadSync = () => { throw new Error('proto-loader is not part of the agent'); };`,
    }));
  },
};

rmSync(dist, { recursive: true, force: true });
mkdirSync(path.join(dist, 'ship'), { recursive: true });
await buildBay();
await buildAgent();

async function buildBay() {
  await build({
    ...common,
    entryPoints: { bay: 'src/main.ts', stop: 'src/cli/stop.ts', health: 'src/cli/health.ts' },
    outdir: 'dist',
    format: 'esm',
    packages: 'external',
    sourcemap: 'linked',
  });
  const descriptors = path.join(root, 'proto/gen/descriptors.binpb');
  if (existsSync(descriptors)) copyFileSync(descriptors, path.join(dist, 'descriptors.binpb'));
}

async function buildAgent() {
  const { outputFiles } = await build({
    ...common,
    entryPoints: ['ship/src/main.ts'],
    write: false,
    outfile: 'dist/ship/agent.cjs',
    format: 'cjs',
    // Names stay, so that stack traces in a ship's log can be read.
    minifyWhitespace: true,
    minifySyntax: true,
    external: ['node-pty', '*.node'],
    // As require(): a script from a code cache has no dynamic import.
    supported: { 'dynamic-import': false },
    define: {
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
      SHIPYARD_VERSION: JSON.stringify(JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version),
    },
    plugins: [withoutProtoLoader],
  });
  const bundle = outputFiles[0].contents;
  const name = `agent-${createHash('sha256').update(bundle).digest('hex').slice(0, 12)}.cjs`;
  writeFileSync(path.join(dist, 'ship', name), bundle);
  const loader = readFileSync(path.join(root, 'scripts/lib/agent-loader.cjs'), 'utf8');
  writeFileSync(path.join(dist, 'ship/run.cjs'), loader.replace('__BUNDLE__', name));

  const { nodeArguments, environment } = JSON.parse(readFileSync(path.join(root, 'ship/launch.json'), 'utf8'));
  run(process.execPath, [...nodeArguments, path.join(dist, 'ship/run.cjs'), '--make-cache']);
  writeFileSync(path.join(dist, 'ship/ship-agent'), imageCommand(nodeArguments, environment), { mode: 0o755 });
  // Agents of other users than the one who builds read it too.
  for (const file of [name, 'run.cjs', name.replace('.cjs', '.cache')]) chmodSync(path.join(dist, 'ship', file), 0o644);
}

/** The command of the image. */
function imageCommand(nodeArguments, environment) {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return `#!/bin/sh\n${variables.join(' ')} exec node ${nodeArguments.join(' ')} "\${0%/*}/run.cjs" "$@"\n`;
}
