import { createHash } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { hasCode, isMissing } from '../system-error.js';
import { ownUid } from './host-tools.js';
import { readRecord, type ShipRecord } from './ship-record.js';

/** sun_path has 108 bytes; Node's listen() cuts longer ones off and reports success. */
const SOCKET_PATH_MAX_BYTES = 100;
const SOCKET_NAME = 'agent.sock';
const NAME = /^[0-9a-f]{8}$/;

export interface RuntimeDir {
  readonly base: string;
}

/** Makes the folder that holds the ships' runtime directories; refuses one that others could have prepared. */
export function openRuntimeDir(configured: string | undefined): RuntimeDir {
  const uid = ownUid();
  const base = path.resolve(configured ?? path.join(tmpdir(), `shipyard-${uid}`));
  mkdirSync(base, { recursive: true, mode: 0o700 });
  const found = lstatSync(base);
  if (!found.isDirectory() || found.uid !== uid)
    throw new StatusError(
      'DRIVER_REFUSED',
      `${base} is not a directory of this user; remove it or name another runtime directory`,
    );
  if ((found.mode & 0o077) !== 0) chmodSync(base, 0o700);
  return { base };
}

export const socketPathOf = (runDir: string) => path.join(runDir, SOCKET_NAME);

/** Where an incarnation's runtime directory lies; the same answer for every Bay, also before anything was recorded. */
export function runDirOf(
  runtime: RuntimeDir,
  deploymentId: string,
  shipId: string,
  incarnation: number,
  attempt = 0,
): string {
  const name = digest(`${deploymentId}\n${shipId}\n${incarnation}\n${attempt}`);
  const runDir = path.join(runtime.base, name);
  const bytes = Buffer.byteLength(socketPathOf(runDir));
  if (bytes > SOCKET_PATH_MAX_BYTES) {
    throw new StatusError(
      'DRIVER_REFUSED',
      `the socket path has ${bytes} bytes, more than ${SOCKET_PATH_MAX_BYTES}: ${socketPathOf(runDir)}; set XDG_RUNTIME_DIR or TMPDIR to a shorter folder`,
    );
  }
  return runDir;
}

/** 8 hex digits that stand for a text. */
export const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8);

/** Makes an incarnation's directory. Answers false where another ship's is in the way: two names met in 32 bits. */
export function makeRunDir(runDir: string, deploymentId: string, shipId: string, incarnation: number): boolean {
  try {
    mkdirSync(runDir, { mode: 0o700 });
    return true;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  const record = readRecord(runDir);
  return (
    !record || (record.deploymentId === deploymentId && record.shipId === shipId && record.incarnation === incarnation)
  );
}

/** Every record of this deployment, living or not. */
export async function readRecords(runtime: RuntimeDir, deploymentId: string): Promise<ShipRecord[]> {
  const names = existsSync(runtime.base) ? await readdir(runtime.base) : [];
  return names
    .filter((name) => NAME.test(name))
    .map((name) => readRecord(path.join(runtime.base, name)))
    .filter((record): record is ShipRecord => record?.deploymentId === deploymentId);
}

/** When the directory last changed, in ms since 1970; now, where it is gone. */
export function lastChange(runDir: string): number {
  return statSync(runDir, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
}

/** Safe to repeat, and while a supervisor does the same. */
export async function removeRunDir(runDir: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await rm(runDir, { recursive: true, force: true });
    } catch (error) {
      if (!(hasCode(error, 'ENOTEMPTY') || isMissing(error)) || attempt === 3) throw error;
    }
  }
}
