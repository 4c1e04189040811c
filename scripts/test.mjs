/**
 * `npm test`: sets up, then checks types, lint, format and protos, then runs every suite. Names of stages as arguments
 * run only those; what follows `--` goes to Jest.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fail, say, seconds, step } from './lib/log.mjs';
import { root, run } from './lib/run.mjs';
import { setUp } from './setup.mjs';

const STAGES = {
  check() {
    for (const script of ['typecheck', 'lint', 'format:check'])
      timed(`npm run ${script}`, () => run('npm', ['run', '--silent', script]));
  },
  unit: (rest) => jest(['--testPathIgnorePatterns', '/e2e/', '/sdk/', ...rest]),
  e2e: (rest) => jest(['--runInBand', 'src/e2e', 'sdk', ...rest]),
  /** The files named after `--`, one after the other. */
  only: (rest) => jest(['--runInBand', ...rest]),
};
const USUAL = ['check', 'unit', 'e2e'];

const separator = process.argv.indexOf('--');
const names = process.argv.slice(2, separator < 0 ? undefined : separator);
const rest = separator < 0 ? [] : process.argv.slice(separator + 1);
for (const name of names)
  if (!STAGES[name]) fail(`No stage "${name}"; there are ${Object.keys(STAGES).join(', ')}.`, 2);

const total = { passed: 0, failed: 0, skipped: 0, notes: [] };
setUp();
for (const name of names.length ? names : USUAL) STAGES[name](rest);
for (const line of total.notes) say(line);
say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
if (total.failed > 0) process.exit(1);

function jest(args) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-jest-'));
  const file = path.join(folder, 'result.json');
  const env = {
    ...process.env,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`,
    SHIPYARD_PYTHON: process.env.SHIPYARD_PYTHON ?? path.join(root, '.venv/bin/python'),
  };
  const { status } = spawnSync(
    process.execPath,
    [path.join(root, 'node_modules/jest/bin/jest.js'), '--json', '--outputFile', file, ...args],
    { cwd: root, stdio: 'inherit', env },
  );
  try {
    const result = JSON.parse(readFileSync(file, 'utf8'));
    total.passed += result.numPassedTests;
    total.skipped += result.numPendingTests;
    total.failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
    for (const suite of result.testResults) {
      for (const test of suite.assertionResults)
        if (test.status === 'pending') total.notes.push(`skipped: ${test.fullName}`);
    }
    if (status !== 0 && total.failed === 0) fail(`Jest ended with ${status}.`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function timed(title, act) {
  step(title);
  const started = performance.now();
  act();
  say(`    ${seconds(started)}`);
}
