import type { SqliteDatabase } from './sqlite.js';
import { StoreError } from './store-error.js';

/** Each entry leads from the version of its index to the next. An entry that was released never changes. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

  CREATE TABLE ships (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('CREATING', 'RUNNING', 'STOPPING', 'STOPPED', 'FAILED')),
    incarnation INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    driver TEXT NOT NULL,
    cpus REAL NOT NULL,
    memory_bytes INTEGER NOT NULL,
    max_session_num INTEGER NOT NULL,
    ttl_seconds INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    state_reason TEXT NOT NULL DEFAULT '',
    handle TEXT,
    isolation TEXT,
    container_id TEXT,
    ip_address TEXT,
    removal TEXT CHECK (removal IN ('keep-workspace', 'all'))
  ) STRICT;
  CREATE INDEX ships_state ON ships (state, create_time);

  CREATE TABLE leases (
    ship_id TEXT NOT NULL REFERENCES ships (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    uid INTEGER NOT NULL UNIQUE,
    home_name TEXT NOT NULL,
    ttl_seconds INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    last_activity_time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL,
    ending INTEGER NOT NULL DEFAULT 0,
    end_time INTEGER,
    end_cause TEXT CHECK (end_cause IN ('expired', 'released', 'stopped')),
    PRIMARY KEY (ship_id, session_id),
    UNIQUE (ship_id, home_name)
  ) STRICT, WITHOUT ROWID;
  -- A session sits in one ship at a time.
  CREATE UNIQUE INDEX leases_one_seat ON leases (session_id) WHERE end_time IS NULL;
  CREATE INDEX leases_session ON leases (session_id, last_activity_time);
  CREATE INDEX leases_expiry ON leases (expire_time) WHERE end_time IS NULL;
  `,
  // Where ships have users of their own, the same uid occurs in each.
  `
  CREATE TABLE leases_by_ship (
    ship_id TEXT NOT NULL REFERENCES ships (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    uid INTEGER NOT NULL,
    home_name TEXT NOT NULL,
    ttl_seconds INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    last_activity_time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL,
    ending INTEGER NOT NULL DEFAULT 0,
    end_time INTEGER,
    end_cause TEXT CHECK (end_cause IN ('expired', 'released', 'stopped')),
    PRIMARY KEY (ship_id, session_id),
    UNIQUE (ship_id, uid),
    UNIQUE (ship_id, home_name)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO leases_by_ship
    SELECT ship_id, session_id, uid, home_name, ttl_seconds, create_time, last_activity_time, expire_time, ending, end_time, end_cause
    FROM leases;
  DROP TABLE leases;
  ALTER TABLE leases_by_ship RENAME TO leases;
  CREATE UNIQUE INDEX leases_one_seat ON leases (session_id) WHERE end_time IS NULL;
  CREATE INDEX leases_session ON leases (session_id, last_activity_time);
  CREATE INDEX leases_expiry ON leases (expire_time) WHERE end_time IS NULL;
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** 0 for an empty file; undefined for a file with tables that are not ours. */
export function readSchemaVersion(db: SqliteDatabase): number | undefined {
  const tables = db.prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`);
  const names = tables.pluck().all() as string[];
  if (names.length === 0) return 0;
  if (!names.includes('meta')) return undefined;
  const row = db.prepare(`SELECT value FROM meta WHERE key = 'schema_version'`).pluck().get();
  return row === undefined ? undefined : Number(row);
}

/**
 * Brings the file to this program's version, in one transaction: a crash leaves the old version whole.
 *
 * @throws StoreError where the file was written by a newer program
 */
export function migrate(db: SqliteDatabase, file: string): void {
  const version = readSchemaVersion(db);
  if (version === undefined) throw new StoreError(`${file} is a database of another program`);
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      `${file} has schema version ${version}, this program knows versions up to ${SCHEMA_VERSION}: run a newer Shipyard, or name another DATABASE_URL`,
    );
  }
  if (version === SCHEMA_VERSION) return;
  db.transaction(() => applyMigrations(db, version)).immediate();
}

/** Within the caller's transaction. */
export function applyMigrations(db: SqliteDatabase, from: number): void {
  for (const migration of MIGRATIONS.slice(from)) db.exec(migration);
  db.prepare(
    `INSERT INTO meta (key, value) VALUES ('schema_version', ?) ON CONFLICT DO UPDATE SET value = excluded.value`,
  ).run(String(SCHEMA_VERSION));
}
