import type BetterSqlite from 'better-sqlite3';
import { createRequire } from 'node:module';

/** As Node says it; better-sqlite3 13 is built on version 10, which Node has from 22.14 on. */
const hasNodeApi10 = Number(process.versions.napi) >= 10;

/**
 * The driver of SQLite that fits this Node. Version 13 does not load on Node 20. Version 12 does not live on Node 24.19
 * and later: whenever one of its objects is garbage-collected between two events, the process aborts
 * (nodejs/node#65446). npm leaves out version 13 where its `engines` do not fit.
 */
export const Sqlite = createRequire(import.meta.url)(
  hasNodeApi10 ? 'better-sqlite3' : 'better-sqlite3-12',
) as typeof BetterSqlite;

export type SqliteDatabase = BetterSqlite.Database;
