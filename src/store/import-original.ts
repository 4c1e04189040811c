import { existsSync, renameSync, rmSync } from 'node:fs';
import type { Log } from '../telemetry/log.js';
import { applyMigrations } from './migrations.js';
import type { SqliteDatabase } from './sqlite.js';

export interface ImportDefaults {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly ttlSeconds: number;
  readonly uidBase: number;
  readonly now: Date;
}

/** Whether the file holds the original Shipyard's tables. */
export function isOriginal(db: SqliteDatabase): boolean {
  return columnsOf(db, 'ships').includes('container_id') && columnsOf(db, 'session_ships').includes('session_id');
}

/**
 * Turns a database of the original Shipyard into ours. It is copied to `<file>.original` first; every ship becomes a
 * stopped one, so that a session that comes back is restored where its data folder is there. One transaction: a crash
 * leaves the original as it was.
 */
export function importOriginal(db: SqliteDatabase, file: string, defaults: ImportDefaults, log: Log): void {
  const copy = copyAside(db, file);
  const ships = db.prepare('SELECT * FROM ships ORDER BY created_at, id').all() as OriginalShip[];
  const sessions = db.prepare('SELECT * FROM session_ships ORDER BY created_at, id').all() as OriginalSession[];

  const leases = db.transaction(() => {
    db.exec('DROP TABLE session_ships; DROP TABLE ships; DROP TABLE IF EXISTS alembic_version');
    applyMigrations(db, 0);
    for (const ship of ships) insertShip(db, ship, defaults);
    return insertLeases(db, new Set(ships.map((ship) => ship.id)), sessions, defaults);
  })();

  const running = ships.filter((ship) => ship.status === 1).map((ship) => ship.container_id ?? `ship-${ship.id}`);
  log.info({ copy, ships: ships.length, sessions: leases }, 'imported the database of the original Shipyard');
  if (running.length > 0) {
    log.warn({ containers: running }, 'these ships of the original ran at the time; their containers may still run');
  }
}

interface OriginalShip {
  readonly id: string;
  readonly status: number;
  readonly created_at: string | null;
  readonly updated_at: string | null;
  readonly container_id: string | null;
  readonly ttl: number | null;
  readonly max_session_num: number | null;
}

interface OriginalSession {
  readonly session_id: string;
  readonly ship_id: string;
  readonly created_at: string | null;
  readonly last_activity: string | null;
  readonly expires_at: string | null;
  readonly initial_ttl: number | null;
}

/** Whole or not at all, with what is in the journal; an earlier copy is never overwritten. */
function copyAside(db: SqliteDatabase, file: string): string {
  let copy = `${file}.original`;
  for (let number = 1; existsSync(copy); number += 1) copy = `${file}.original.${number}`;
  const part = `${file}.original-part`;
  rmSync(part, { force: true });
  db.prepare('VACUUM INTO ?').run(part);
  renameSync(part, copy);
  return copy;
}

function insertShip(db: SqliteDatabase, ship: OriginalShip, defaults: ImportDefaults): void {
  db.prepare(
    `INSERT INTO ships (id, state, incarnation, fence, driver, cpus, memory_bytes, max_session_num, ttl_seconds, create_time, update_time, state_reason)
     VALUES (?, 'STOPPED', 1, 1, 'docker', ?, ?, ?, ?, ?, ?, 'imported from the original Shipyard')`,
  ).run(
    ship.id,
    defaults.cpus,
    defaults.memoryBytes,
    ship.max_session_num && ship.max_session_num > 0 ? ship.max_session_num : 1,
    ship.ttl && ship.ttl > 0 ? ship.ttl : defaults.ttlSeconds,
    toMilliseconds(ship.created_at, defaults.now),
    toMilliseconds(ship.updated_at, defaults.now),
  );
}

/**
 * The original named a home after the first 8 characters of the session id, so that sessions could share one. Here the
 * oldest of them gets it, the others get their own.
 */
function insertLeases(
  db: SqliteDatabase,
  ships: ReadonlySet<string>,
  sessions: readonly OriginalSession[],
  defaults: ImportDefaults,
): number {
  const insert = db.prepare(
    `INSERT INTO leases (ship_id, session_id, uid, home_name, ttl_seconds, create_time, last_activity_time, expire_time, end_time, end_cause)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'stopped') ON CONFLICT (ship_id, session_id) DO NOTHING`,
  );
  const homes = new Set<string>();
  let uid = defaults.uidBase;
  for (const session of sessions) {
    if (!ships.has(session.ship_id)) continue; // the original kept the rows of deleted ships
    const original = toHomeName(session.session_id);
    const home = original && !homes.has(`${session.ship_id}/${original}`) ? original : `session-${uid}`;
    homes.add(`${session.ship_id}/${home}`);
    const { changes } = insert.run(
      session.ship_id,
      session.session_id,
      uid,
      home,
      session.initial_ttl && session.initial_ttl > 0 ? session.initial_ttl : defaults.ttlSeconds,
      toMilliseconds(session.created_at, defaults.now),
      toMilliseconds(session.last_activity, defaults.now),
      toMilliseconds(session.expires_at, defaults.now),
      defaults.now.getTime(),
    );
    uid += changes;
  }
  db.prepare(`INSERT INTO meta (key, value) VALUES ('next_uid', ?)`).run(String(uid));
  return uid - defaults.uidBase;
}

/** undefined where the original could not have made a user of that name. */
function toHomeName(sessionId: string): string | undefined {
  const start = [...sessionId].slice(0, 8).join('');
  return /^[A-Za-z0-9_.-]+$/.test(start) ? `ship_${start}` : undefined;
}

/** SQLAlchemy's text is UTC without saying so. */
function toMilliseconds(text: string | null, fallback: Date): number {
  if (!text) return fallback.getTime();
  const iso = text.trim().replace(' ', 'T');
  const time = Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(iso) ? iso : `${iso}Z`);
  return Number.isNaN(time) ? fallback.getTime() : time;
}

function columnsOf(db: SqliteDatabase, table: string): string[] {
  return db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[];
}
