import type { SqliteDatabase as KyselyDatabase, SqliteStatement } from 'kysely';
import { StatusError } from '../../proto/rpc/status-error.js';
import type { SqliteDatabase } from './sqlite.js';

/** Texts differ by the lengths of their lists only; what is over is prepared again. */
const MAX_STATEMENTS = 256;

/** A rollback of what SQLite has rolled back by itself, as it does where the disk is full. */
const NOTHING_TO_DO: SqliteStatement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [].values(),
};

/**
 * A database as Kysely uses it: a text is prepared once, and a failure of the file's disk has its reason.
 *
 * @param file for messages
 */
export function toKyselyDatabase(sqlite: SqliteDatabase, file: string): KyselyDatabase {
  const statements = new Map<string, SqliteStatement>();
  return {
    close: () => sqlite.close(),
    prepare(sql) {
      if (sql === 'rollback' && !sqlite.inTransaction) return NOTHING_TO_DO;
      const known = statements.get(sql);
      if (known) return known;
      if (statements.size >= MAX_STATEMENTS) statements.clear();
      const statement = withReasons(sqlite.prepare(sql), file);
      statements.set(sql, statement);
      return statement;
    },
  };
}

function withReasons(statement: SqliteStatement, file: string): SqliteStatement {
  return {
    reader: statement.reader,
    all: (parameters) => told(() => statement.all(parameters), file),
    run: (parameters) => told(() => statement.run(parameters), file),
    iterate: (parameters) => told(() => statement.iterate(parameters), file),
  };
}

function told<T>(act: () => T, file: string): T {
  try {
    return act();
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== 'SQLITE_FULL' && !String(code).startsWith('SQLITE_IOERR')) throw error;
    const what = code === 'SQLITE_FULL' ? 'is full: whoever runs Bay must make room' : 'fails';
    throw new StatusError('DISK_FULL', `the disk of the database ${what}; nothing was changed`, {
      cause: new Error(`${file}: ${String(code)}`, { cause: error }),
    });
  }
}
