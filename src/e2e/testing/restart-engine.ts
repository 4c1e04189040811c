import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type Docker from 'dockerode';
import { eventually } from './processes.js';

/**
 * Ends an engine that these tests started (scripts/lib/engines.mjs) and starts it again as it was.
 *
 * @returns false for an engine of somebody else, which is left alone
 */
export async function restartEngine(docker: Docker): Promise<boolean> {
  const { socketPath } = docker.modem as unknown as { socketPath: string };
  const folder = path.dirname(socketPath);
  if (!/\/shipyard\/engines\/[a-z-]+$/.test(folder)) return false;
  const pidFile = path.join(folder, 'pid');
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const [command = '', ...args] = split(`/proc/${pid}/cmdline`);
  const env: NodeJS.ProcessEnv = {};
  for (const line of split(`/proc/${pid}/environ`))
    env[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1);
  process.kill(pid, 'SIGTERM');
  await eventually('the engine ends', () => !isAlive(pid), 30_000);

  const log = openSync(path.join(folder, 'log'), 'a');
  const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], cwd: '/', env });
  closeSync(log);
  child.unref();
  await eventually('the engine answers again', () => docker.ping().then(Boolean, () => false), 30_000);
  writeFileSync(pidFile, `${child.pid}`);
  return true;
}

const split = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .split('\0')
    .filter((part) => part !== '');

/** A zombie is none: whoever started the engine may be waiting for these tests. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false; // the answer, not a failure
  }
}
