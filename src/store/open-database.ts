import { Kysely, SqliteDialect } from 'kysely';
import { randomUUID } from 'node:crypto';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { makeFolder } from '../make-folder.js';
import type { Log } from '../telemetry/log.js';
import { lockDatabase } from './database-lock.js';
import { importOriginal, isOriginal, type ImportDefaults } from './import-original.js';
import { toKyselyDatabase } from './kysely-database.js';
import { migrate } from './migrations.js';
import type { Database } from './schema.js';
import { Sqlite, type SqliteDatabase } from './sqlite.js';
import { StoreError } from './store-error.js';

export interface OpenDatabaseOptions {
  /** Absolute. Made, with its folder, where it is not there. */
  readonly file: string;
  readonly log: Log;
  /** What an original Shipyard's ships get, whose database did not say. */
  readonly importDefaults: Omit<ImportDefaults, 'now'>;
  readonly now: Date;
}

export interface OpenDatabase {
  readonly db: Kysely<Database>;
  /** Of this database: what drivers mark their own with. */
  readonly deploymentId: string;
  close(): Promise<void>;
}

/** @throws StoreError where another Bay holds the file, or it is not one this program can use */
export function openDatabase(options: OpenDatabaseOptions): OpenDatabase {
  const { file } = options;
  try {
    makeFolder(path.dirname(file));
    const lock = lockDatabase(file);
    try {
      const sqlite = openSqlite(options);
      const db = new Kysely<Database>({ dialect: new SqliteDialect({ database: toKyselyDatabase(sqlite, file) }) });
      const close = async () => {
        await db.destroy();
        lock.release();
      };
      return { db, deploymentId: readDeploymentId(sqlite), close };
    } catch (error) {
      lock.release();
      throw error;
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const { message: text = String(error) } = error as { message?: string };
    throw new StoreError(`cannot open the database ${file}: ${text}`, { cause: error });
  }
}

function openSqlite({ file, log, importDefaults, now }: OpenDatabaseOptions): SqliteDatabase {
  const sqlite = new Sqlite(file, { timeout: 5000 });
  try {
    if (isOriginal(sqlite)) importOriginal(sqlite, file, { ...importDefaults, now }, log);
    else migrate(sqlite, file);
    // WAL with NORMAL: a crash of Bay loses nothing, one of the machine at most the last commits, never the file.
    sqlite.pragma('journal_mode = WAL');
    sqlite.pragma('synchronous = NORMAL');
    sqlite.pragma('foreign_keys = ON');
    // Whoever else writes to the file is waited for on the one thread that serves all.
    sqlite.pragma('busy_timeout = 500');
    chmodSync(file, 0o600);
    return sqlite;
  } catch (error) {
    sqlite.close();
    throw error;
  }
}

function readDeploymentId(sqlite: SqliteDatabase): string {
  sqlite.prepare(`INSERT INTO meta (key, value) VALUES ('deployment_id', ?) ON CONFLICT DO NOTHING`).run(randomUUID());
  return sqlite.prepare(`SELECT value FROM meta WHERE key = 'deployment_id'`).pluck().get() as string;
}
