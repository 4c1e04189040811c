/**
 * Runs the suites once on another major version of Node: `node scripts/test-on-node.mjs 22`. The program comes as an npm
 * package; the checkout is copied, so that native modules are built for that version beside this one's. Container engines
 * are left out: what runs in them brings its own Node.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fail, step } from './lib/log.mjs';
import { root, run, runQuietly } from './lib/run.mjs';

const [major] = process.argv.slice(2);
if (!/^\d+$/.test(major ?? '')) fail('Which version? For example: node scripts/test-on-node.mjs 22', 2);

const folder = path.join(root, '.cache', `node-${major}`);
const name = `node-${process.platform}-${process.arch}`;
const home = path.join(folder, 'node_modules', name);
const checkout = path.join(folder, 'checkout');

mkdirSync(folder, { recursive: true });
if (!existsSync(path.join(home, 'bin/node'))) {
  const installed = runQuietly(`Fetching Node ${major}`, 'npm', [
    'install',
    '--prefix',
    folder,
    '--no-audit',
    '--no-fund',
    '--no-save',
    `${name}@${major}`,
  ]);
  if (!installed) fail(`The npm package ${name}@${major} could not be installed.`);
}
copyCheckout();

const env = { ...process.env, PATH: `${path.join(home, 'bin')}:${process.env.PATH}`, npm_config_nodedir: home };
step(`Tests on Node ${spawnSync(path.join(home, 'bin/node'), ['--version'], { encoding: 'utf8' }).stdout.trim()}`);
const withoutEngines = ['--', '--testPathIgnorePatterns', '/engine-driver/'];
run(path.join(home, 'bin/node'), ['scripts/test.mjs', 'unit', 'e2e', ...withoutEngines], { cwd: checkout, env });

/** Tracked files only; node_modules of an earlier run stay where the lock file is the same. */
function copyCheckout() {
  const lock = (folder) =>
    existsSync(path.join(folder, 'package-lock.json'))
      ? readFileSync(path.join(folder, 'package-lock.json'), 'utf8')
      : '';
  const kept = lock(checkout) === lock(root) ? ['node_modules', '.cache'] : [];
  if (existsSync(checkout))
    run('find', [
      checkout,
      '-mindepth',
      '1',
      '-maxdepth',
      '1',
      ...kept.flatMap((entry) => ['!', '-name', entry]),
      '-exec',
      'rm',
      '-rf',
      '{}',
      '+',
    ]);
  const { stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  for (const file of stdout.split('\0').filter((entry) => entry && existsSync(path.join(root, entry)))) {
    cpSync(path.join(root, file), path.join(checkout, file), { recursive: true });
  }
  rmSync(path.join(checkout, '.venv'), { recursive: true, force: true });
  symlinkSync(path.join(root, '.venv'), path.join(checkout, '.venv'));
}
