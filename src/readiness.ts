import { statfs } from 'node:fs/promises';
import { orAborted } from '../proto/rpc/or-aborted.js';
import { StatusError } from '../proto/rpc/status-error.js';
import { timeoutSignal } from '../proto/rpc/timeout-signal.js';
import type { Driver } from './drivers/driver.js';
import type { Store } from './store/store.js';
import type { Clock } from './telemetry/clock.js';

/** Less is taken by the first thing that a session does. */
const LEAST_FREE_BYTES = 1024 * 1024;
/** How long an answer serves for others: the question is open to everybody, and a look writes. */
const FRESH_MS = 1_000;

/** What makes ships answers within this time, or is taken for away: whoever asks has a deadline too. */
const PING_MS = 1_000;

export interface ReadinessDeps {
  readonly store: Pick<Store, 'probe'>;
  readonly driver: Pick<Driver, 'name' | 'ping'>;
  readonly clock: Clock;
  readonly shipDataDir: string;
}

/**
 * Whether Bay can take work: it must be able to write down what it does, what makes ships must answer, and ships
 * need room for their files.
 *
 * @returns a function that answers undefined where it can, else why not
 */
export function createReadiness(deps: ReadinessDeps): () => Promise<string | undefined> {
  let answer: Promise<string | undefined> | undefined;
  let sinceMs = 0;
  return () => {
    const nowMs = deps.clock.now().getTime();
    if (!answer || Math.abs(nowMs - sinceMs) >= FRESH_MS) {
      sinceMs = nowMs;
      answer = whyNot(deps);
    }
    return answer;
  };
}

async function whyNot({ store, driver, clock, shipDataDir }: ReadinessDeps): Promise<string | undefined> {
  try {
    await store.probe(clock.now());
  } catch (error) {
    return StatusError.from(error).message;
  }
  // Where there is no such folder, ships have their files elsewhere, or none was made yet.
  const disk = await statfs(shipDataDir).catch(() => undefined);
  if (disk && disk.bavail * disk.bsize < LEAST_FREE_BYTES) return 'the disk of SHIP_DATA_DIR is full';
  return whyNoShips(driver);
}

async function whyNoShips(driver: ReadinessDeps['driver']): Promise<string | undefined> {
  const signal = timeoutSignal(PING_MS);
  try {
    if (driver.ping) await orAborted(driver.ping(signal), signal);
    return undefined;
  } catch (error) {
    const why = signal.aborted ? `no answer within ${PING_MS} ms` : StatusError.from(error).message;
    return `no new ship can be made (${driver.name}): ${why}`;
  }
}
