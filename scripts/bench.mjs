/** `npm run bench`: sets up, then runs bench/main.ts; arguments pass on. */
import { run } from './lib/run.mjs';
import { setUp } from './setup.mjs';

setUp();
run(process.execPath, ['--import', 'tsx', 'bench/main.ts', ...process.argv.slice(2)]);
