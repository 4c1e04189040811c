import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, openSync, closeSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fail, say, seconds, step } from './log.mjs';

export const root = path.resolve(import.meta.dirname, '../..');

/** Whether a command succeeds; its output is thrown away. */
export function works(command, args, options = {}) {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 60_000, ...options }).status === 0;
}

/** Runs a command with its output shown; ends the script where it fails. */
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options });
  if (status !== 0) fail(`${command} ${args.join(' ')} failed: ${error?.message ?? signal ?? `exit code ${status}`}`);
}

/** Runs a long command quietly; shows its output only where it fails. Answers whether it succeeded. */
export function runQuietly(title, command, args, options = {}) {
  step(title);
  const started = performance.now();
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-setup-'));
  const file = path.join(folder, 'log');
  const output = openSync(file, 'w');
  try {
    const { status } = spawnSync(command, args, { stdio: ['ignore', output, output], cwd: root, ...options });
    if (status !== 0) process.stderr.write(readFileSync(file, 'utf8').slice(-8000));
    else say(`    ${seconds(started)}`);
    return status === 0;
  } finally {
    closeSync(output);
    rmSync(folder, { recursive: true });
  }
}
