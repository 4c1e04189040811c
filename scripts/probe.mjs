/**
 * `npm run probe`: sets up, then becomes probe/main.ts; arguments and the exit code pass on. A descriptor of the root
 * folder is left open on the way, as a careless parent of Bay might: one of the probes looks for it inside a ship.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { leaveOutputAlone } from './lib/log.mjs';
import { root } from './lib/run.mjs';
import { setUp } from './setup.mjs';

/** Beyond those that the programs in between use. */
const LEFT_OPEN_AS = 20;

if (process.argv.includes('--json')) leaveOutputAlone();
setUp();
const folder = openSync('/', 'r');
const stdio = ['inherit', 'inherit', 'inherit', ...Array(LEFT_OPEN_AS - 3).fill('ignore'), folder];
const program = ['--import', 'tsx', 'probe/main.ts', ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, program, { cwd: root, stdio });
closeSync(folder);
process.exitCode = status ?? 1;
