import { statfs } from 'node:fs/promises';
import { StatusError } from '../proto/rpc/status-error.js';
import type { Store } from './store/store.js';
import type { Clock } from './telemetry/clock.js';

/** Less is taken by the first thing that a session does. */
const LEAST_FREE_BYTES = 1024 * 1024;

/**
 * Whether Bay can take work: it must be able to write down what it does, and ships need room for their files.
 *
 * @returns undefined where it can, else why not
 */
export async function whyNotReady(deps: {
  readonly store: Store;
  readonly clock: Clock;
  readonly shipDataDir: string;
}): Promise<string | undefined> {
  try {
    await deps.store.probe(deps.clock.now());
  } catch (error) {
    return StatusError.from(error).message;
  }
  // Where there is no such folder, ships have their files elsewhere, or none was made yet.
  const disk = await statfs(deps.shipDataDir).catch(() => undefined);
  return disk && disk.bavail * disk.bsize < LEAST_FREE_BYTES ? 'the disk of SHIP_DATA_DIR is full' : undefined;
}
