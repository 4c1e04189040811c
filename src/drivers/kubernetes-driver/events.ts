import type { CoreV1EventList } from '@kubernetes/client-node';
import { shipName } from './names.js';
import type { Cluster } from './open-cluster.js';

const TIMEOUT_MS = 3_000;
const MAX_EVENTS = 50;

/**
 * What the cluster's parts last warned of something, in their own words: why a claim gets no volume, why a volume is not
 * mounted. Empty where nobody warned, and where the events may not be read.
 */
export async function lastWarning({ client, namespace }: Cluster, kind: string, name: string): Promise<string> {
  try {
    const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${name},type=Warning`;
    const query = { fieldSelector, limit: MAX_EVENTS };
    const path = `/api/v1/namespaces/${namespace}/events`;
    const { items } = await client.request<CoreV1EventList>('GET', path, { query, timeoutMs: TIMEOUT_MS });
    const at = (event: (typeof items)[number]) => String(event.lastTimestamp ?? event.eventTime ?? '');
    const last = items.sort((one, other) => at(one).localeCompare(at(other))).at(-1);
    return last ? `${last.reason}: ${last.message?.trim()}` : '';
  } catch {
    return ''; // they explain a failure that is told anyway
  }
}

export const lastClaimWarning = (cluster: Cluster, deploymentId: string, shipId: string): Promise<string> =>
  lastWarning(cluster, 'PersistentVolumeClaim', shipName(deploymentId, shipId));
