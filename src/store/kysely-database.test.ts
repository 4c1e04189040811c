import { jest } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Kysely, SqliteDialect } from 'kysely';
import { toKyselyDatabase } from './kysely-database.js';
import { Sqlite, type SqliteDatabase } from './sqlite.js';

interface Tables {
  notes: { text: string };
}

describe('a database for Kysely', () => {
  let folder: string;
  let sqlite: SqliteDatabase;
  let db: Kysely<Tables>;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'shipyard-kysely-'));
    sqlite = new Sqlite(path.join(folder, 'bay.db'));
    sqlite.exec('CREATE TABLE notes (text TEXT)');
    db = new Kysely({ dialect: new SqliteDialect({ database: toKyselyDatabase(sqlite, 'bay.db') }) });
  });
  afterEach(async () => {
    await db.destroy();
    rmSync(folder, { recursive: true });
  });

  const write = (text: string) =>
    db.transaction().execute(async (trx) => {
      await trx.insertInto('notes').values({ text: 'first' }).execute();
      await trx.insertInto('notes').values({ text }).execute();
    });
  const count = async () => (await db.selectFrom('notes').selectAll().execute()).length;

  it('says that the disk is full, has changed nothing then, and goes on when there is room', async () => {
    sqlite.pragma(`max_page_count = ${String(sqlite.pragma('page_count', { simple: true }))}`);
    await expect(write('x'.repeat(100_000))).rejects.toMatchObject({
      reason: 'DISK_FULL',
      message: 'the disk of the database is full: whoever runs Bay must make room; nothing was changed',
    });
    expect(await count()).toBe(0);
    sqlite.pragma('max_page_count = 1000000');
    await write('x'.repeat(100_000));
    expect(await count()).toBe(2);
  });

  it('gives every other failure as it is, and rolls back', async () => {
    const failed = db.transaction().execute(async (trx) => {
      await trx.insertInto('notes').values({ text: 'gone' }).execute();
      await trx
        .selectFrom('nothing' as 'notes')
        .selectAll()
        .execute();
    });
    await expect(failed).rejects.toMatchObject({ message: 'no such table: nothing' });
    expect(await count()).toBe(0);
  });

  it('prepares a text once', async () => {
    const prepare = jest.spyOn(sqlite, 'prepare');
    for (let times = 0; times < 3; times += 1) await count();
    expect(prepare).toHaveBeenCalledTimes(1);
  });
});
