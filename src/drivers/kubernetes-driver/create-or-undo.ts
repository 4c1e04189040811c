import { StatusError } from '../../../proto/rpc/status-error.js';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import type { Log } from '../../telemetry/log.js';
import { waitOrUndo } from '../wait-or-undo.js';
import { isKubeError } from './kube-error.js';
import type { Cluster } from './open-cluster.js';

/** For an object to be made, and after that for the server to say that it was all the same. */
const WAIT_MS = 30_000;
const LATE_MS = 600_000;

export interface Creation {
  readonly path: string;
  readonly body: object;
  /** For people: "claim", "Pod". */
  readonly what: string;
  readonly shipId: string;
  /** Bounds itself. */
  readonly undo: () => Promise<void>;
  readonly waitMs?: number | undefined;
}

/**
 * Makes an object of a ship. One that comes when nobody waits for it any more is given up.
 *
 * @throws the signal's reason at once; StatusError DRIVER_UNAVAILABLE where the server takes too long; KubeError
 */
export async function createOrUndo<T>(
  { client }: Cluster,
  { path, body, what, shipId, undo, waitMs = WAIT_MS }: Creation,
  log: Log,
  signal: AbortSignal,
): Promise<T> {
  const making = client.request<T>('POST', path, { body, timeoutMs: LATE_MS });
  const patience = timeoutSignal(waitMs, signal);
  const failed = (error: unknown) => {
    if (isKubeError(error, 409)) return; // it was there before, and none was made
    log.warn({ shipId, err: error }, `a ${what} that came too late may be left`);
  };
  try {
    return await waitOrUndo(making, patience, { undo, failed });
  } catch (error) {
    if (!patience.aborted || signal.aborted) throw error;
    const message = `the API server at ${client.server} does not answer: no ${what} within ${waitMs} ms`;
    throw new StatusError('DRIVER_UNAVAILABLE', message);
  }
}
