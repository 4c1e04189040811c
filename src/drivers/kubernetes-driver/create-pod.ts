import type { V1Pod } from '@kubernetes/client-node';
import type { Log } from '../../telemetry/log.js';
import { createOrUndo } from './create-or-undo.js';
import { isKubeError } from './kube-error.js';
import type { Cluster } from './open-cluster.js';
import type { PodWatch } from './pod-watch.js';
import { removePod } from './stop-ship.js';

/** For the removal of a Pod that came too late. */
const UNDO_TIMEOUT_MS = 30_000;

export interface NewPod {
  readonly shipId: string;
  /** This incarnation's, and nobody else's. */
  readonly name: string;
  readonly body: V1Pod;
}

/**
 * Makes an incarnation's Pod. What has its name already was left by an interrupted start, and is removed.
 *
 * @throws the signal's reason at once: a Pod that comes after that is removed when it does
 */
export async function createPod(
  cluster: Cluster,
  watch: PodWatch,
  { shipId, name, body }: NewPod,
  log: Log,
  signal: AbortSignal,
): Promise<V1Pod> {
  const undo = () => removePod(cluster, watch, name, AbortSignal.timeout(UNDO_TIMEOUT_MS));
  const create = () => createOrUndo<V1Pod>(cluster, { path: watch.path, body, what: 'Pod', shipId, undo }, log, signal);
  try {
    return await create();
  } catch (error) {
    if (!isKubeError(error, 409)) throw error;
    await removePod(cluster, watch, name, signal);
    return create();
  }
}
