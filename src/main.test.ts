import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { silentLog } from './telemetry/log.js';
import { Store } from './store/store.js';
import { temporaryFolders } from './testing/temporary-folder.js';

const root = path.resolve(import.meta.dirname, '..');
const newFolder = temporaryFolders('main');

/** Runs a program of ours from its source, in a folder of its own, until it ends. */
function run(program: string, env: Record<string, string> = {}, args: readonly string[] = []) {
  const cwd = env.HOME ?? newFolder();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', path.join(root, 'node_modules/tsx/dist/esm/index.mjs'), path.join(root, program), ...args],
    { cwd, env: { PATH: process.env.PATH, HOME: cwd, ...env }, encoding: 'utf8', timeout: 60_000 },
  );
  return { cwd, status, stdout, stderr };
}

describe('bay', () => {
  it('tells all mistakes of its configuration at once and leaves with 2, having touched nothing', () => {
    const { status, stderr, cwd } = run('src/main.ts', { PORT: 'abc', MAX_SHIP_NUM: '-1', ACCESS_TOKEN: 'not shown' });
    expect(status).toBe(2);
    expect(stderr).toContain('PORT=abc: must be a port');
    expect(stderr).toContain('MAX_SHIP_NUM=-1: must be a whole number');
    expect(stderr).not.toContain('not shown:');
    expect(existsSync(path.join(cwd, 'bay.db'))).toBe(false);
  }, 60_000);

  it('refuses a database that another Bay holds, and names it', async () => {
    const cwd = newFolder();
    const importDefaults = { cpus: 1, memoryBytes: 1, ttlSeconds: 1, uidBase: 70_000 };
    const store = new Store({ file: path.join(cwd, 'bay.db'), log: silentLog, importDefaults, now: new Date() });
    const { status, stderr } = run('src/main.ts', { HOME: cwd, PORT: '0', GRPC_PORT: '0' });
    await store.close();
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`bay\\.db is in use by another Bay \\(process ${process.pid}`));
    expect(stderr).not.toMatch(/\n\s+at /);
  }, 60_000);

  it('says plainly what keeps the driver from its work', () => {
    const KUBECONFIG = '/nowhere/kubeconfig';
    const { status, stderr } = run('src/main.ts', { CONTAINER_DRIVER: 'kubernetes', KUBECONFIG });
    expect(status).toBe(1);
    expect(stderr).toBe(`the kubeconfig cannot be read: ${KUBECONFIG} is not there: set KUBECONFIG\n`);
  }, 60_000);

  it('prints the table of its variables', () => {
    expect(run('src/main.ts', {}, ['--config-table']).stdout).toContain('| `ACCESS_TOKEN` | `secret-token` |');
  }, 60_000);
});

describe('stop', () => {
  it('asks for --all', () => {
    const { status, stderr } = run('src/cli/stop.ts');
    expect([status, stderr.split('\n')[0]]).toEqual([2, 'usage: npm run stop -- --all']);
  }, 60_000);

  it('says where it looked for ships, and makes nothing there', () => {
    const nowhere = path.join(newFolder(), 'nowhere');
    const { status, stderr } = run('src/cli/stop.ts', { DATABASE_URL: `sqlite:///${nowhere}/bay.db` }, ['--all']);
    expect([status, stderr]).toEqual([1, expect.stringContaining(`there is no database ${nowhere}/bay.db`)]);
    expect(existsSync(nowhere)).toBe(false);
  }, 60_000);
});
