import path from 'node:path';

/**
 * The file of a DATABASE_URL as SQLAlchemy writes it: `sqlite:///relative`, `sqlite:////absolute`, with or without
 * `+aiosqlite`; undefined where it is none of those.
 */
export function parseDatabaseUrl(url: string, cwd: string): string | undefined {
  const match = /^sqlite(?:\+aiosqlite)?:\/\/\/([^?#]+)$/i.exec(url.trim());
  const file = match?.[1];
  if (!file || file === ':memory:' || file.endsWith('/')) return undefined;
  return path.resolve(cwd, file);
}
