import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from '@jest/globals';

/**
 * Makes folders of their own for the tests of one file, which are removed when these are over. Called where the file is
 * loaded, since that is when Jest takes hooks.
 */
export function temporaryFolders(name: string): () => string {
  const made: string[] = [];
  afterAll(() => {
    for (const folder of made) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    const folder = mkdtempSync(path.join(tmpdir(), `shipyard-${name}-`));
    made.push(folder);
    return folder;
  };
}
