import { createHmac, randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeFolder } from '../make-folder.js';

/**
 * The deployment's key, from which the tokens of ships are made. It lies in the state directory (0600) and never in the
 * database; Bays that share ships share it.
 */
export function readDeploymentKey(stateDir: string): Buffer {
  try {
    makeFolder(stateDir);
  } catch (error) {
    throw new Error(`SHIPYARD_STATE_DIR=${stateDir} cannot be made: ${(error as Error).message}`, { cause: error });
  }
  const file = path.join(stateDir, 'deployment.key');
  const part = `${file}.${process.pid}`;
  writeFileSync(part, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  try {
    linkSync(part, file); // whole, and never over a key that is there
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(part, { force: true });
  }
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex');
  if (key.length !== 32) throw new Error(`${file} does not hold a key of 64 hexadecimal digits`);
  return key;
}

/** What an incarnation's agent asks of whoever calls it. */
export function shipToken(key: Buffer, ship: { readonly id: string; readonly incarnation: number }): string {
  return createHmac('sha256', key).update(`${ship.id}:${ship.incarnation}`).digest('hex');
}
