/**
 * Sessions as a container has them: the agent is root with CAP_SETUID and CAP_SETGID alone, and may gain no others. The
 * suites of the session runner and of kernels run once more in a Jest that was started so.
 */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { unless } from '../../../scripts/lib/unless.mjs';
import { testPython } from '../python/testing/local-session-runner.js';

const root = resolve(import.meta.dirname, '../../..');
const CAPABILITIES = '-all,+setuid,+setgid';
const asAgent = ['setpriv', '--no-new-privs', '--inh-caps', '-all', '--bounding-set', CAPABILITIES, '--'];
/** By a shell, since setpriv itself still has root's powers when it looks for the program. */
const asSession = [
  ...['setpriv', '--reuid', '23456', '--regid', '23456', '--clear-groups', '--'],
  ...['sh', '-c', '"$@"', 'sh'],
];

/** Root without its powers reads only what root owns or everybody may read, and sessions only the latter. */
const unusable = ((): string | undefined => {
  if (process.geteuid?.() !== 0) return 'only root can give away all capabilities but two';
  for (const become of [asAgent, asSession]) {
    const failure = failureOf([...become, 'head', '-c1', join(root, 'ship/python/session_runner.py')]);
    if (failure) return `the checkout is not readable so: ${failure}`;
  }
  return undefined;
})();
const noKernels = unusable ?? failureOf([...asSession, testPython(), '-c', 'import ipykernel']);

unless(unusable, describe)('an agent with two capabilities', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sy-'));
    chmodSync(folder, 0o711);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));

  it.each([
    ['sessions', 'ship/src/workspace/session-runner.test.ts'],
    ['the end of sessions', 'ship/src/workspace/session-runner-end.test.ts'],
    ['what session users may not do to each other and to the agent', 'ship/src/workspace/testing/own-user-inner.ts'],
    ['commands', 'ship/src/shell/command-kind.test.ts'],
    ['terminals', 'ship/src/shell/terminal-kind.test.ts'],
    ['files', 'ship/src/files/file-service.test.ts'],
  ])('serves %s', async (_, file) => expect(await jest(folder, file)).toBe(''), 180_000);

  unless(noKernels && `the session may not run this Python: ${noKernels}`, it)(
    'serves kernels',
    async () => expect(await jest(folder, 'ship/src/python/sandbox.test.ts')).toBe(''),
    180_000,
  );
});

function failureOf([program = '', ...args]: readonly string[]): string | undefined {
  const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? (stderr.trim() || `ended with ${status}`));
}

/** Runs a test file in a Jest of its own; answers what it said where it failed. */
function jest(folder: string, file: string): Promise<string> {
  const [program = '', ...args] = [
    ...[...asAgent, process.execPath, '--experimental-vm-modules', join(root, 'node_modules/jest/bin/jest.js')],
    ...['--rootDir', root, '--runInBand', '--cacheDirectory', join(folder, 'jest'), '--testMatch', `<rootDir>/${file}`],
  ];
  const { PATH, SHIPYARD_PYTHON } = process.env;
  const child = spawn(program, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH, SHIPYARD_PYTHON, HOME: folder, TMPDIR: folder, SHIPYARD_TEST_SANDBOX: 'uid' },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-20_000)));
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (code) => done(code === 0 ? '' : said || `ended with ${code}`));
  });
}
