import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { silentLog } from '../telemetry/log.js';
import { SCHEMA_VERSION } from './migrations.js';
import { Sqlite } from './sqlite.js';
import { Store } from './store.js';
import { temporaryFolders } from '../testing/temporary-folder.js';

const newFolder = temporaryFolders('import');

/** The tables as the original makes them, with the times as SQLAlchemy writes them. */
const ORIGINAL = `
  CREATE TABLE ships (id VARCHAR NOT NULL, status INTEGER NOT NULL, created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
    container_id VARCHAR, ip_address VARCHAR, ttl INTEGER NOT NULL, max_session_num INTEGER NOT NULL, current_session_num INTEGER NOT NULL,
    expires_at DATETIME, PRIMARY KEY (id));
  CREATE TABLE session_ships (id VARCHAR NOT NULL, session_id VARCHAR NOT NULL, ship_id VARCHAR NOT NULL, created_at DATETIME NOT NULL,
    last_activity DATETIME NOT NULL, expires_at DATETIME, initial_ttl INTEGER NOT NULL, PRIMARY KEY (id));
  CREATE INDEX ix_session_ships_session_id ON session_ships (session_id);
  INSERT INTO ships VALUES ('ship-a', 0, '2026-01-01 10:00:00.123456', '2026-01-02 10:00:00.000000', 'abc', '172.17.0.2', 600, 3, 3, NULL);
  INSERT INTO ships VALUES ('ship-b', 1, '2026-01-03 10:00:00.000000', '2026-01-03 10:00:00.000000', 'def', '172.17.0.3', 60, 1, 1, NULL);
  INSERT INTO session_ships VALUES ('1', 'test-session-123', 'ship-a', '2026-01-01 10:00:00.000000', '2026-01-01 11:00:00.000000', '2026-01-01 12:00:00.000000', 600);
  INSERT INTO session_ships VALUES ('2', 'test-session-456', 'ship-a', '2026-01-01 10:30:00.000000', '2026-01-01 11:00:00.000000', NULL, 600);
  INSERT INTO session_ships VALUES ('3', 'a:b/../c', 'ship-a', '2026-01-01 10:40:00.000000', '2026-01-01 11:00:00.000000', NULL, 600);
  INSERT INTO session_ships VALUES ('4', 'solo', 'ship-b', '2026-01-03 10:00:00.000000', '2026-01-03 10:00:00.000000', NULL, 60);
  INSERT INTO session_ships VALUES ('5', 'orphan', 'deleted-ship', '2026-01-03 10:00:00.000000', '2026-01-03 10:00:00.000000', NULL, 60);
`;

const now = new Date(Date.UTC(2026, 5, 1));

function makeFile(sql: string): string {
  const file = path.join(newFolder(), 'bay.db');
  const db = new Sqlite(file);
  db.exec(sql);
  db.close();
  return file;
}

function open(file: string): Store {
  const importDefaults = { cpus: 2, memoryBytes: 1024, ttlSeconds: 3600, uidBase: 70_000 };
  return new Store({ file, log: silentLog, importDefaults, now });
}

describe('a database of the original Shipyard', () => {
  it('is copied aside and taken over: every ship as a stopped one, sessions with their homes', async () => {
    const file = makeFile(ORIGINAL);
    const store = open(file);
    expect(await store.listShips()).toMatchObject([
      {
        id: 'ship-a',
        state: 'STOPPED',
        maxSessionNum: 3,
        ttlSeconds: 600,
        spec: { cpus: 2, memoryBytes: 1024 },
        createTime: new Date('2026-01-01T10:00:00.123Z'),
      },
      { id: 'ship-b', state: 'STOPPED' },
    ]);
    const leases = await store.listLeases('ship-a');
    expect(leases.map(({ sessionId, homeName, uid }) => [sessionId, homeName, uid])).toEqual([
      ['test-session-123', 'ship_test-ses', 70_000],
      ['test-session-456', 'session-70001', 70_001],
      ['a:b/../c', 'session-70002', 70_002],
    ]);
    await store.close();

    const copy = new Sqlite(`${file}.original`, { readonly: true });
    expect(copy.prepare('SELECT count(*) FROM session_ships').pluck().get()).toBe(5);
    copy.close();
  });

  it('lets a session of it restore its ship', async () => {
    const store = open(makeFile(ORIGINAL));
    const request = {
      sessionId: 'test-session-123',
      ttlSeconds: 60,
      spec: { cpus: 1, memoryBytes: 1 },
      maxSessionNum: 1,
      driver: 'local',
      now,
      maxShips: 10,
      mayReserve: true,
      skip: [],
      uids: { scope: 'deployment' as const, base: 70_000 },
    };
    const placement = await store.place(request);
    expect(placement).toMatchObject({ kind: 'stopped', ship: { id: 'ship-a' } });
    if (placement.kind !== 'stopped') throw new Error(placement.kind);
    expect(await store.restore(placement.ship, { ...request, spec: {} })).toMatchObject({
      kind: 'reserved',
      ship: { id: 'ship-a', incarnation: 2, driver: 'local', maxSessionNum: 3 },
      lease: { uid: 70_000, homeName: 'ship_test-ses' },
    });
    await store.close();
  });

  it('is imported once, and an earlier copy is never overwritten', async () => {
    const file = makeFile(ORIGINAL);
    new Sqlite(`${file}.original`).exec('CREATE TABLE mine (x)').close();
    await open(file).close();
    await open(file).close();
    const copies = readdirSync(path.dirname(file)).filter((name) => name.includes('.original'));
    expect(copies.sort()).toEqual(['bay.db.original', 'bay.db.original.1']);
    expect(existsSync(`${file}.original-part`)).toBe(false);
  });
});

describe('another database', () => {
  it('that is newer than the program is refused, both versions named', () => {
    const newer = makeFile(
      `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); INSERT INTO meta VALUES ('schema_version', '99')`,
    );
    expect(() => open(newer)).toThrow(
      new RegExp(`schema version 99, this program knows versions up to ${SCHEMA_VERSION}`),
    );
  });

  it('of another program is refused and left as it is', () => {
    const other = makeFile('CREATE TABLE ships (captain TEXT)');
    expect(() => open(other)).toThrow(/database of another program/);
    const db = new Sqlite(other, { readonly: true });
    expect(db.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).pluck().all()).toEqual(['ships']);
    db.close();
  });

  it('that is no database at all is refused with its name', () => {
    expect(() => open('/proc/version')).toThrow(/\/proc\/version/);
  });
});
