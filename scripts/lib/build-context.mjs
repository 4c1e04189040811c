import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * A folder as engines take it for a build: a tar archive, less what its .dockerignore leaves out. That file is a list of
 * what may pass (`!name`) and, for these, of what may not (`**\/name` or a path); the engines' own clients read it too.
 *
 * @returns {import('node:stream').Readable}
 */
export function openBuildContext(folder) {
  const file = path.join(folder, '.dockerignore');
  const rules = existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line && !line.startsWith('#'))
    : [];
  const entries = rules.filter((rule) => rule.startsWith('!')).map((rule) => rule.slice(1));
  const excludes = rules
    .filter((rule) => rule !== '*' && !rule.startsWith('!'))
    .map((rule) => `--exclude=${rule.replace(/^\*\*\//, '')}`);
  const present = entries.filter((name) => existsSync(path.join(folder, name)));
  const options = ['--create', '--sort=name', '--owner=0', '--group=0', '--numeric-owner', ...excludes, '-C', folder];
  const tar = spawn('tar', [...options, '--', ...(entries.length > 0 ? present : ['.'])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  tar.once('error', (error) => tar.stdout.destroy(error));
  tar.once('exit', (code) => code === 0 || tar.stdout.destroy(new Error(`tar ended with ${code}`)));
  return tar.stdout;
}
