import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, rename, rm, rmdir } from 'node:fs/promises';
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

/** Removes a ship's folder that has nothing in it, as one that was made for a start that did not come about. */
export async function removeEmptyFolder(root: string): Promise<void> {
  try {
    await rmdir(root);
  } catch (error) {
    if (!isMissing(error) && !hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

/** Removes a folder of which Bay itself may not remove everything. */
export type RemoveForeign = (folder: string) => Promise<void>;

/**
 * Removes a ship's data, also what an earlier try left of them. They are gone for everybody at once, also where removing the
 * last file takes long.
 */
export async function removeShipData(
  shipDataDir: string,
  paths: DataPaths,
  removeForeign?: RemoveForeign,
): Promise<void> {
  const doomed = `${REMOVING}${path.basename(paths.root)}-`;
  try {
    await rename(paths.root, path.join(shipDataDir, doomed + randomBytes(4).toString('hex')));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const isOfShip = (name: string) => name.startsWith(doomed) && /^[0-9a-f]{8}$/.test(name.slice(doomed.length));
  await removeAll(shipDataDir, isOfShip, removeForeign);
}

/** Finishes removals that a crash interrupted. */
export async function sweepRemovals(shipDataDir: string, removeForeign?: RemoveForeign): Promise<void> {
  await removeAll(shipDataDir, (name) => name.startsWith(REMOVING), removeForeign);
}

/** One that cannot be removed keeps none of the others; the first failure is thrown at the end. */
async function removeAll(
  shipDataDir: string,
  isDoomed: (name: string) => boolean,
  removeForeign?: RemoveForeign,
): Promise<void> {
  if (!existsSync(shipDataDir)) return;
  const failures: unknown[] = [];
  for (const name of (await readdir(shipDataDir)).filter(isDoomed)) {
    await removeTree(path.join(shipDataDir, name), removeForeign).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

async function removeTree(root: string, removeForeign?: RemoveForeign): Promise<void> {
  try {
    await removeOwn(root);
  } catch (error) {
    if (!removeForeign) throw error;
    await removeForeign(root);
  }
}

/**
 * Removes whatever sessions made, also directories that they closed to their own user, and those that lie deeper than a path
 * may be long: the system's own tools go from one to the next. Nothing of the ship runs any more, so that a directory here
 * stays one, and is not a link to elsewhere.
 */
async function removeOwn(root: string): Promise<void> {
  try {
    await rm(root, { recursive: true, force: true });
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EPERM', 'ENOTEMPTY', 'ENAMETOOLONG')) throw error;
    await run('chmod', '-R', 'u+rwx', '--', root); // what it cannot open, rm cannot remove
    if ((await run('rm', '-rf', '--', root)) !== 0)
      throw new Error(`${root} could not be removed: ${toError(error).message.slice(0, 300)}`, { cause: error });
  }
}

/** The exit code. What the tools say is not read: a line for each of any number of files, of any length. */
async function run(program: string, ...args: string[]): Promise<number | null> {
  const [code] = (await once(spawn(program, args, { stdio: 'ignore' }), 'exit')) as [number | null];
  return code;
}
