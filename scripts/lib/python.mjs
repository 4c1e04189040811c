import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { installDebianKernel } from './debian.mjs';
import { fail } from './log.mjs';
import { root, runQuietly, works } from './run.mjs';

const folder = path.join(root, '.venv');
const python = path.join(folder, 'bin/python');
const stamp = path.join(folder, 'shipyard-requirements.txt');
const requirements = path.join(root, 'ship/python/requirements.txt');

/**
 * The Python of ships: a virtual environment with ipykernel and matplotlib, from the Python index where it can be
 * reached, else over Debian's packages. Compiled to .pyc, since a kernel starts four times slower without.
 */
export function ensurePython() {
  ensureEnvironment();
  works(python, ['-m', 'compileall', '-q', path.join(root, 'ship/python')]);
}

function ensureEnvironment() {
  const wanted = readFileSync(requirements, 'utf8');
  if (
    existsSync(stamp) &&
    readFileSync(stamp, 'utf8') === wanted &&
    works(python, ['-c', 'import ipykernel, matplotlib'])
  )
    return;

  rmSync(folder, { recursive: true, force: true });
  if (!fromIndex() && !fromDebian()) {
    fail(
      'Could not make a Python environment: neither the Python index nor Debian packages (python3-ipykernel, python3-matplotlib) can be had.',
    );
  }
  works(python, ['-m', 'compileall', '-q', folder], { timeout: 300_000 });
  writeFileSync(stamp, wanted);
}

function fromIndex() {
  return (
    runQuietly('Making a Python environment', 'python3', ['-m', 'venv', folder]) &&
    runQuietly('Installing ipykernel and matplotlib', python, ['-m', 'pip', 'install', '--quiet', '-r', requirements])
  );
}

function fromDebian() {
  rmSync(folder, { recursive: true, force: true });
  const there = works('/usr/bin/python3', ['-c', 'import ipykernel, matplotlib']) || installDebianKernel();
  return (
    there &&
    runQuietly("Making a Python environment over Debian's packages", '/usr/bin/python3', [
      '-m',
      'venv',
      '--system-site-packages',
      folder,
    ])
  );
}
