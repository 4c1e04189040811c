import { describe, expect, it } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { configTable, loadConfig } from './config.js';
import { ConfigError } from './config/config-error.js';
import { VARIABLES } from './config/variables.js';
import { temporaryFolders } from './testing/temporary-folder.js';

const folder = temporaryFolders('config');

function load(env: Record<string, string> = {}, file?: string) {
  const cwd = folder();
  if (file !== undefined) writeFileSync(path.join(cwd, '.env'), file);
  return loadConfig({ env: { HOME: cwd, ...env }, cwd });
}

function problemsOf(env: Record<string, string>, file?: string) {
  try {
    load(env, file);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('nothing was wrong');
}

describe('loadConfig', () => {
  it('has the documented defaults', () => {
    expect(load()).toMatchObject({
      port: 8156,
      grpcPort: 8157,
      accessToken: 'secret-token',
      maxShips: 10,
      whenFull: 'reject',
      defaultTtlSeconds: 3600,
      defaultSpec: { cpus: 1, memoryBytes: 512 * 1024 ** 2 },
      startTimeoutMs: 60_000,
      maxUploadBytes: 104_857_600,
      executionLogMaxBytes: 1024 ** 3,
      shipLogMaxBytes: 4 * 1024 ** 3,
      driver: undefined,
      logLevel: 'info',
      warnings: [],
    });
  });

  it('puts everything below the home and the working directory', () => {
    const cwd = folder();
    const config = loadConfig({ env: { HOME: '/home/x' }, cwd });
    expect(config).toMatchObject({
      shipDataDir: '/home/x/.shipyard/ships',
      stateDir: '/home/x/.shipyard',
      databaseFile: path.join(cwd, 'bay.db'),
    });
  });

  it('listens on loopback alone while the token is the documented one', () => {
    expect(load()).toMatchObject({ host: '127.0.0.1', usesDefaultToken: true });
    expect(load({ ACCESS_TOKEN: 'mine' })).toMatchObject({ host: '0.0.0.0', usesDefaultToken: false });
    expect(load({ ACCESS_TOKEN: 'mine', HOST: '::' })).toMatchObject({ host: '::' });
    expect(load({ HOST: '::1' })).toMatchObject({ host: '::1' });
    expect(problemsOf({ HOST: '0.0.0.0' }).message).toContain(
      'ACCESS_TOKEN: is one that the documentation shows, and Bay listens beyond loopback (HOST=0.0.0.0)',
    );
    expect(problemsOf({ HOST: '0.0.0.0', ACCESS_TOKEN: 'secret-token' }).problems).toHaveLength(1);
  });

  it('takes names in any case, and the usual spelling before another', () => {
    expect(load({ max_ship_num: '3' })).toMatchObject({ maxShips: 3 });
    expect(load({ max_ship_num: '3', MAX_SHIP_NUM: '4' })).toMatchObject({ maxShips: 4 });
  });

  it('takes an empty value for none', () => {
    expect(load({ PORT: '', ACCESS_TOKEN: '' })).toMatchObject({ port: 8156, host: '127.0.0.1' });
  });

  it('reads .env below the environment', () => {
    const file = '# comment\nPORT=9000\nACCESS_TOKEN="from file"\nMAX_SHIP_NUM=7\n'.replace('"from file"', 'from-file');
    expect(load({ PORT: '9001' }, file)).toMatchObject({ port: 9001, accessToken: 'from-file', maxShips: 7 });
  });

  it('names an unknown key of .env with the nearest known one', () => {
    expect(problemsOf({}, 'MAX_SHIPS=3').message).toMatch(/MAX_SHIPS: unknown; did you mean MAX_SHIP_NUM\?/);
    expect(problemsOf({}, 'ACESS_TOKEN=x').message).toMatch(/did you mean ACCESS_TOKEN\?/);
    expect(problemsOf({}, 'SOMETHING_ELSE_ENTIRELY=x').message).toMatch(/SOMETHING_ELSE_ENTIRELY: unknown \(in/);
    expect(load({}, 'SHIP_ENV_FOO=bar\nTZ=Asia/Tokyo').shipEnvironment).toMatchObject({ FOO: 'bar', TZ: 'Asia/Tokyo' });
  });

  it('says of a wrong value that it stands in .env, where the environment does not win over it', () => {
    expect(problemsOf({}, 'port=abc').message).toMatch(/PORT=abc: .* \(in \/.*\.env\)/);
    expect(problemsOf({ PORT: 'abc' }, 'PORT=abc').message).not.toContain('.env');
  });

  it('takes a .env that compose.yaml shares', () => {
    expect(load({}, 'BAY_ADDRESS=0.0.0.0\nDOCKER_SOCKET=/run/podman/podman.sock').maxShips).toBe(10);
  });

  it('tells everything that is wrong at once, with value and what is allowed, and never the token', () => {
    const error = problemsOf({
      PORT: 'abc',
      MAX_SHIP_NUM: '0',
      BEHAVIOR_AFTER_MAX_SHIP: 'explode',
      DEFAULT_SHIP_MEMORY: '1.5g',
      DATABASE_URL: 'postgres://me:hunter2@db/x',
      SHIP_NETWORK_ALLOW: '10.0.0.0/99',
      ACCESS_TOKEN: 'has space',
      TLS_CERT_FILE: '/nowhere.pem',
    });
    expect(error.problems.map(({ variable }) => variable).sort()).toEqual([
      'ACCESS_TOKEN',
      'BEHAVIOR_AFTER_MAX_SHIP',
      'DATABASE_URL',
      'DEFAULT_SHIP_MEMORY',
      'MAX_SHIP_NUM',
      'PORT',
      'SHIP_NETWORK_ALLOW',
      'TLS_CERT_FILE',
      'TLS_KEY_FILE',
    ]);
    expect(error.message).toContain('PORT=abc: must be a port from 0 (any free one) to 65535');
    expect(error.message).toContain('BEHAVIOR_AFTER_MAX_SHIP=explode: must be one of reject, wait');
    expect(error.message).not.toContain('has space');
    expect(error.message).not.toContain('hunter2');
  });

  it('refuses one port for both servers', () => {
    expect(problemsOf({ PORT: '9000', GRPC_PORT: '9000' }).message).toContain('GRPC_PORT=9000: must differ from PORT');
    expect(load({ PORT: '0', GRPC_PORT: '0' })).toMatchObject({ port: 0, grpcPort: 0 });
  });

  it.each([
    ['sqlite+aiosqlite:///./x.db', 'x.db'],
    ['sqlite:///x.db', 'x.db'],
    ['sqlite:////var/lib/x.db', '/var/lib/x.db'],
    ['sqlite+aiosqlite:////var/lib/x.db', '/var/lib/x.db'],
  ])('finds the file of %s', (url, file) => {
    const cwd = folder();
    expect(loadConfig({ env: { DATABASE_URL: url }, cwd }).databaseFile).toBe(path.resolve(cwd, file));
  });

  it.each(['sqlite://', 'sqlite:///:memory:', 'sqlite:///', 'mysql://x', 'x.db'])('refuses the database %s', (url) => {
    expect(problemsOf({ DATABASE_URL: url }).problems[0]).toMatchObject({ variable: 'DATABASE_URL' });
  });

  it('passes on to ships what they need of the environment, and no credential', () => {
    const config = load({
      TZ: 'Europe/Berlin',
      HTTPS_PROXY: 'http://proxy:3128',
      PIP_INDEX_URL: 'https://me:hunter2@index/simple',
      AWS_SECRET_ACCESS_KEY: 'x',
      SHIP_ENV_GREETING: 'hello',
    });
    expect(config.shipEnvironment).toEqual({
      LANG: 'C.UTF-8',
      TZ: 'Europe/Berlin',
      HTTPS_PROXY: 'http://proxy:3128',
      GREETING: 'hello',
    });
    expect(config.warnings.join()).toContain('PIP_INDEX_URL');
    expect(config.warnings.join()).not.toContain('hunter2');
    expect(load({ SHIP_ENV_PIP_INDEX_URL: 'https://me:hunter2@index/' }).shipEnvironment).toMatchObject({
      PIP_INDEX_URL: 'https://me:hunter2@index/',
    });
  });

  it('refuses a name that no environment can hold', () => {
    expect(problemsOf({ 'SHIP_ENV_A-B': 'x' }).problems[0]).toMatchObject({ variable: 'SHIP_ENV_A-B' });
  });

  it('says where data of the original lie', () => {
    const cwd = folder();
    mkdirSync(path.join(cwd, 'ship_data'));
    expect(loadConfig({ env: { HOME: cwd }, cwd }).warnings[0]).toContain('ship_data');
    expect(loadConfig({ env: { HOME: cwd, SHIP_DATA_DIR: '/data' }, cwd }).warnings).toEqual([]);
  });

  it('shows every variable in the table of the README', () => {
    const table = configTable();
    for (const name of Object.keys(VARIABLES)) expect(table).toContain(`| \`${name}\` |`);
  });
});
