import { Sqlite, type SqliteDatabase } from './sqlite.js';
import { StoreError } from './store-error.js';

/**
 * Keeps a second Bay off a database. The lock is the operating system's own, on a file beside the database
 * (`<file>.lock`), so that it goes with its holder however that ends; the file only tells who that is.
 *
 * @throws StoreError naming the process that holds it
 */
export function lockDatabase(file: string): { release(): void } {
  const db = new Sqlite(`${file}.lock`, { timeout: 0 });
  try {
    db.pragma('journal_mode = DELETE');
    db.exec('CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL, since TEXT NOT NULL)');
    db.exec('BEGIN IMMEDIATE; DELETE FROM holder');
    db.prepare('INSERT INTO holder (pid, since) VALUES (?, ?)').run(process.pid, new Date().toISOString());
    db.exec('COMMIT');
    // Kept open until the end: it keeps writers out and readers in.
    db.exec('BEGIN IMMEDIATE');
  } catch (error) {
    const holder = readHolder(db);
    db.close();
    if (!isBusy(error)) throw error;
    throw new StoreError(`${file} is in use by another Bay${holder}: stop it, or give this one its own DATABASE_URL`, {
      inUse: true,
      cause: error,
    });
  }
  return { release: () => db.close() };
}

function readHolder(db: SqliteDatabase): string {
  try {
    const holder = db.prepare('SELECT pid, since FROM holder').get() as { pid: number; since: string } | undefined;
    return holder ? ` (process ${holder.pid}, since ${holder.since})` : '';
  } catch (error) {
    if (isBusy(error)) return ''; // it is writing its name just now
    throw error;
  }
}

/** By its code and not by its class, which under Jest is of another realm. */
function isBusy(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && String(error.code).startsWith('SQLITE_BUSY');
}
