/** `npm run docs`: writes the configuration table, which the program makes of its own schema, into the README. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root, run } from './lib/run.mjs';
import { setUp } from './setup.mjs';

setUp();
const file = path.join(root, 'README.md');
const table = execFileSync(process.execPath, [path.join(root, 'dist/bay.js'), '--config-table'], { encoding: 'utf8' });
const readme = readFileSync(file, 'utf8').replace(
  /(<!-- configuration:[^>]*-->)[\s\S]*(<!-- \/configuration -->)/,
  (_, begin, end) => `${begin}\n\n${table.trim()}\n\n${end}`,
);
writeFileSync(file, readme);
run('npx', ['--no-install', 'prettier', '--write', '--log-level', 'warn', file]);
