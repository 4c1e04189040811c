import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { load } from 'js-yaml';
import { PROTOCOL_GENERATION } from '../proto/rpc/mux/frame.js';
import { VARIABLES } from '../src/config/variables.js';
import { openBuildContext } from './lib/build-context.mjs';
import { root, works } from './lib/run.mjs';
import { unless } from './lib/unless.mjs';

const read = (name: string) => readFileSync(path.join(root, name), 'utf8');
const argumentsOf = (dockerfile: string): Record<string, string | undefined> =>
  Object.fromEntries(
    [...read(dockerfile).matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, name, value]) => [String(name), value]),
  );

describe('the Dockerfiles', () => {
  it('tell the version and the protocol that they are built from', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(argumentsOf('Dockerfile.ship')).toMatchObject({
      SHIPYARD_VERSION: version,
      PROTOCOL_GENERATION: `${PROTOCOL_GENERATION}`,
    });
    expect(argumentsOf('Dockerfile.bay')).toMatchObject({ SHIPYARD_VERSION: version });
  });

  it('share bases and the stage that takes longest', () => {
    const bases = ({ NODE_IMAGE, BASE_IMAGE }: Record<string, string | undefined>) => ({ NODE_IMAGE, BASE_IMAGE });
    expect(bases(argumentsOf('Dockerfile.bay'))).toEqual(bases(argumentsOf('Dockerfile.ship')));
    const stage = (dockerfile: string) => /^FROM \S+ AS packages\n(.*?)\n\n/ms.exec(read(dockerfile))?.[1];
    expect(stage('Dockerfile.bay')).toEqual(stage('Dockerfile.ship'));
  });
});

describe('openBuildContext', () => {
  it('packs what .dockerignore lets pass, and nothing of it that it excludes', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-context-'));
    for (const name of ['in/a.ts', 'in/a.test.ts', 'in/node_modules/x', 'in/gen/y', 'out/z', 'file']) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), name);
    }
    writeFileSync(
      path.join(folder, '.dockerignore'),
      '# x\n*\n!in\n!file\n!absent\nin/gen\n**/node_modules\n**/*.test.ts\n',
    );
    const { stdout } = spawnSync('tar', ['-t'], { input: await text(openBuildContext(folder)), encoding: 'utf8' });
    expect(stdout.trim().split('\n').sort()).toEqual(['file', 'in/', 'in/a.ts']);
    rmSync(folder, { recursive: true });
  });
});

interface Compose {
  readonly services: { readonly bay: Record<string, unknown> & { readonly environment: Record<string, string> } };
}

describe('compose.yaml', () => {
  const { bay } = (load(read('compose.yaml')) as Compose).services;

  it('demands a token, and names settings that Bay knows', () => {
    expect(bay.environment['ACCESS_TOKEN']).toMatch(/^\$\{ACCESS_TOKEN:\?.+\}$/);
    expect(Object.keys(bay.environment).filter((name) => !(name in VARIABLES))).toEqual([]);
  });

  it('gives Bay no power beyond the socket, and publishes nothing outside this machine', () => {
    expect(bay).toMatchObject({
      cap_drop: ['ALL'],
      read_only: true,
      security_opt: ['no-new-privileges:true'],
      ports: [
        expect.stringMatching(/^\$\{BAY_ADDRESS:-127\.0\.0\.1\}:8156:8156$/),
        expect.stringMatching(/^\$\{BAY_ADDRESS:-127\.0\.0\.1\}:8157:8157$/),
      ],
    });
    for (const key of ['privileged', 'cap_add', 'network_mode', 'pid']) expect(bay).not.toHaveProperty(key);
  });

  it('mounts the workspaces at the same path inside as outside', () => {
    const folder = bay.environment['SHIP_DATA_DIR'];
    expect(bay['volumes']).toContain(`${folder}:${folder}`);
  });

  const composes = works('docker', ['compose', 'version']);
  unless(composes ? undefined : 'no compose plug-in of docker here', it)('is taken by docker compose', () => {
    const check = (env: NodeJS.ProcessEnv) =>
      spawnSync('docker', ['compose', 'config', '--quiet'], { cwd: root, encoding: 'utf8', env });
    expect(check({ ...process.env, ACCESS_TOKEN: 'a'.repeat(32) })).toMatchObject({ status: 0 });
    expect(check({ ...process.env, ACCESS_TOKEN: '' }).stderr).toContain('set a token of your own');
  });
});
