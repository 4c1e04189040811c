import { StatusError } from '../../../proto/rpc/status-error.js';
import { KubeError } from './kube-error.js';
import type { Cluster } from './open-cluster.js';
import type { PodWatch } from './pod-watch.js';

/**
 * Asks for one Pod, as the account that makes them: the server has to know it, and has to reach what it keeps Pods in.
 *
 * @throws StatusError DRIVER_UNAVAILABLE that says nothing of where the server is, which is the cause
 */
export async function pingCluster(
  { client }: Cluster,
  { path }: Pick<PodWatch, 'path'>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.request('GET', path, { query: { limit: 1 }, signal });
  } catch (error) {
    const what = error instanceof KubeError ? `answers with status ${error.status}` : 'does not answer';
    throw new StatusError('DRIVER_UNAVAILABLE', `the API server ${what}`, { cause: error });
  }
}
