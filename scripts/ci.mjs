/** What `.ci/run` does: every stage, or the ones named, each with its time. The first failure ends it. */
import { fail, say, seconds, step } from './lib/log.mjs';
import { run } from './lib/run.mjs';

const STAGES = {
  setup: () => run(process.execPath, ['scripts/setup.mjs']),
  test: () => run('npm', ['test']),
  demo: () => {
    run('npm', ['run', '--silent', 'demo']);
    run('npm', ['run', '--silent', 'demo']);
  },
  bench: () => run('npm', ['run', '--silent', 'bench', '--', '--quick']),
  node22: () => run(process.execPath, ['scripts/test-on-node.mjs', '22']),
  node24: () => run(process.execPath, ['scripts/test-on-node.mjs', '24']),
};

const names = process.argv.slice(2);
for (const name of names)
  if (!STAGES[name]) fail(`No stage "${name}"; there are ${Object.keys(STAGES).join(', ')}.`, 2);

const times = [];
const began = performance.now();
for (const name of names.length ? names : Object.keys(STAGES)) {
  step(`stage ${name}`);
  const started = performance.now();
  STAGES[name]();
  times.push(`${name} ${seconds(started)}`);
}
say(`\nstages: ${times.join(', ')}; in all ${seconds(began)}`);
