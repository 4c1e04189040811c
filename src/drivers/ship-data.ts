import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { chmod, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { StatusError } from '../../proto/rpc/status-error.js';
import { makeFolder } from '../make-folder.js';
import { hasCode, isMissing, toError } from './system-error.js';

/** Where a ship's data lie; they outlive its incarnations. */
export interface DataPaths {
  readonly root: string;
  /** Homes of sessions. */
  readonly home: string;
  /** The agent's own: execution logs and index. */
  readonly state: string;
  /** What the agent and its helpers wrote. */
  readonly log: string;
}

const REMOVING = '.removing-';

export function dataPathsOf(shipDataDir: string, shipId: string): DataPaths {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(shipId))
    throw new StatusError('INVALID_ARGUMENT', `not a ship id: ${shipId}`);
  const root = path.join(shipDataDir, shipId);
  return { root, home: path.join(root, 'home'), state: path.join(root, 'state'), log: path.join(root, 'log') };
}

/** Makes the folder of all ships. @throws StatusError DRIVER_REFUSED where it cannot be made */
export function makeShipDataDir(shipDataDir: string): void {
  try {
    makeFolder(shipDataDir);
  } catch (error) {
    const message = `SHIP_DATA_DIR=${shipDataDir} cannot be made: ${toError(error).message}`;
    throw new StatusError('DRIVER_REFUSED', message, { cause: error });
  }
}

/** Sessions reach their homes through their sandboxes alone, so that nobody else needs to pass through here. */
export function makeDataDirs(paths: DataPaths): void {
  for (const dir of [paths.home, paths.state, paths.log]) mkdirSync(dir, { recursive: true, mode: 0o700 });
}

export const hasShipData = (paths: DataPaths) => existsSync(paths.home);

/** Removes a folder of which Bay itself may not remove everything. */
export type RemoveForeign = (folder: string) => Promise<void>;

/** Removes a ship's data. They are gone for everybody at once, also where removing the last file takes long. */
export async function removeShipData(
  shipDataDir: string,
  paths: DataPaths,
  removeForeign?: RemoveForeign,
): Promise<void> {
  const doomed = path.join(shipDataDir, `${REMOVING}${path.basename(paths.root)}-${randomBytes(4).toString('hex')}`);
  try {
    await rename(paths.root, doomed);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  await removeTree(doomed, removeForeign);
}

/** Finishes removals that a crash interrupted. */
export async function sweepRemovals(shipDataDir: string, removeForeign?: RemoveForeign): Promise<void> {
  if (!existsSync(shipDataDir)) return;
  for (const name of await readdir(shipDataDir)) {
    if (name.startsWith(REMOVING)) await removeTree(path.join(shipDataDir, name), removeForeign);
  }
}

async function removeTree(root: string, removeForeign?: RemoveForeign): Promise<void> {
  try {
    await removeOwn(root);
  } catch (error) {
    if (!removeForeign || !hasCode(error, 'EACCES', 'EPERM')) throw error;
    await removeForeign(root);
  }
}

/** Removes whatever sessions made, also directories that they closed to their own user. */
async function removeOwn(root: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await rm(root, { recursive: true, force: true });
    } catch (error) {
      if (!hasCode(error, 'EACCES', 'EPERM', 'ENOTEMPTY') || attempt === 5) throw error;
      await openDirectories(root);
    }
  }
}

/**
 * Nothing of the ship runs any more: what is a directory here stays one, and is not a link to elsewhere. A part may be
 * gone already, since a removal that failed in one place goes on in others.
 */
async function openDirectories(dir: string): Promise<void> {
  try {
    await chmod(dir, 0o700);
    for (const entry of await readdir(dir, { withFileTypes: true })) {
      if (entry.isDirectory()) await openDirectories(path.join(dir, entry.name));
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
