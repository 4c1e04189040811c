/** `npm start`: sets up where needed, then becomes Bay. Configuration comes from the environment and `.env`. */
import { setUp } from './setup.mjs';

setUp();
await import('../dist/bay.js');
