/** `npm start`: sets up where needed, then becomes Bay. Configuration comes from the environment and `.env`. */
import { fail } from './lib/log.mjs';
import { setUp } from './setup.mjs';

if (process.argv.length > 2)
  fail('npm start takes no arguments: configuration comes from the environment and `.env` (README: Configuration).', 2);

setUp();
await import('../dist/bay.js');
