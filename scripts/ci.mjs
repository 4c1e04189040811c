/** What `.ci/run` does: every stage, or the ones named, each with its time. The first failure ends it. */
import { fail, say, seconds, step } from './lib/log.mjs';
import { hasCluster, NO_CLUSTER } from './lib/cluster.mjs';
import { ensureGoTool, toolsFolder } from './lib/go-tools.mjs';
import { run } from './lib/run.mjs';

process.env.PATH = `${toolsFolder}:${process.env.PATH}`;

const STAGES = {
  setup: () => run(process.execPath, ['scripts/setup.mjs']),
  // The README's tour by grpcurl is tested where Go can build it; elsewhere the suite says that it was skipped.
  tools: () => void ensureGoTool('grpcurl'),
  test: () => run('npm', ['test']),
  demo: () => {
    run('npm', ['run', '--silent', 'demo']);
    run('npm', ['run', '--silent', 'demo']);
  },
  docker: () => run('npm', ['run', '--silent', 'test:docker']),
  podman: () => run('npm', ['run', '--silent', 'test:podman']),
  'podman-rootless': () => run(process.execPath, ['scripts/test-engine.mjs', 'podman-rootless']),
  kubernetes: () => kubernetes('manifests', 'driver', 'outside', 'inside'),
  'kubernetes-probe': () => kubernetes('probe', 'restricted'),
  'kubernetes-outages': () => kubernetes('outages'),
  bench: () => run('npm', ['run', '--silent', 'bench', '--', '--quick']),
  node22: () => run(process.execPath, ['scripts/test-on-node.mjs', '22']),
  node24: () => run(process.execPath, ['scripts/test-on-node.mjs', '24']),
};

/** Run by name only, each with the reason, which every run prints. */
const BY_NAME = {
  'kubernetes-probe': 'eight minutes more; passes',
  'kubernetes-outages':
    'seven minutes more; once, on an overloaded machine, a cell read while the API server was killed came otherwise than it was printed, which was neither explained nor seen again',
  node22: 'seven minutes more; to be run once for each change of what is native or of the lock file',
  node24: 'as node22',
  bench: 'figures of speed want a machine for themselves',
};

/** What a run of all stages leaves out, with the reasons. */
const skipped = { ...(hasCluster() ? {} : { kubernetes: NO_CLUSTER }), ...BY_NAME };

function kubernetes(...parts) {
  run('npm', ['run', '--silent', 'test:kubernetes', '--', ...parts]);
}

const names = process.argv.slice(2);
for (const name of names)
  if (!STAGES[name]) fail(`No stage "${name}"; there are ${Object.keys(STAGES).join(', ')}.`, 2);

const times = [];
const began = performance.now();
for (const name of names.length ? names : Object.keys(STAGES).filter((stage) => !skipped[stage])) {
  step(`stage ${name}`);
  const started = performance.now();
  STAGES[name]();
  times.push(`${name} ${seconds(started)}`);
}
say(`\nstages: ${times.join(', ')}; in all ${seconds(began)}`);
if (names.length === 0) for (const [name, reason] of Object.entries(skipped)) say(`skipped: stage ${name}: ${reason}`);
