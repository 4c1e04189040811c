import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../../..');
const folder = path.join(root, '.cache/published-sdk');
const VERSION = '0.2.4';

/** A Python with the published SDK of the original Shipyard, unmodified, in an environment of its own. */
export async function publishedSdkPython(): Promise<string> {
  const python = path.join(folder, 'bin/python');
  const installed =
    existsSync(python) &&
    (await run(python, ['-c', 'import shipyard']).then(
      () => true,
      () => false,
    ));
  if (!installed) {
    await run('python3', ['-m', 'venv', '--clear', folder]);
    await run(python, ['-m', 'pip', 'install', '--quiet', `shipyard-python-sdk==${VERSION}`], { timeout: 180_000 });
  }
  return python;
}
