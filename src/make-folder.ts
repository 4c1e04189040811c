import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';

/**
 * Makes a folder, 0700, and those above it; one that is there is left as it is. In steps, since Node's own `recursive` never
 * ends where the folder above takes no entries, as in /proc.
 *
 * @throws the system's own error, ENOTDIR where something else has the name
 */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(folder).isDirectory()) return;
    const above = path.dirname(folder);
    if (code !== 'ENOENT' || isThere(above)) throw code === 'EEXIST' ? notAFolder(folder) : error;
    makeFolder(above);
    makeFolder(folder);
  }
}

const isThere = (folder: string): boolean => statSync(folder, { throwIfNoEntry: false }) !== undefined;

const notAFolder = (folder: string): Error =>
  Object.assign(new Error(`ENOTDIR: ${folder} is there and is no folder`), { code: 'ENOTDIR' });
