import path from 'node:path';
import type Docker from 'dockerode';
import { alone } from '../../../scripts/lib/alone.mjs';
import { Daemon } from './daemon.js';
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
  // As engines.mjs starts one: whoever finds none meanwhile waits for this one, and starts no second.
  await alone(`engine ${socketPath}`, async () => {
    const engine = new Daemon({ pidFile: path.join(folder, 'pid'), log: path.join(folder, 'log') });
    await engine.end('SIGTERM');
    engine.start();
    await eventually('the engine answers again', () => docker.ping().then(Boolean, () => false), 30_000);
  });
  return true;
}
