/** `npm run stop -- --all`: ends the ships that an ended Bay left running. */
import { setUp } from './setup.mjs';

setUp();
await import('../dist/stop.js');
