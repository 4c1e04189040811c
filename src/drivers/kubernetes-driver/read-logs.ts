import { isKubeError } from './kube-error.js';
import type { Cluster } from './open-cluster.js';
import { SHIP_CONTAINER } from './pod-state.js';

export interface ReadLogsOptions {
  readonly follow: boolean;
  readonly signal: AbortSignal;
  /** The last lines alone. */
  readonly tailLines?: number;
}

/** What the agent wrote; nothing where its Pod is gone, or its container has not begun. */
export async function* readLogs({ client, namespace }: Cluster, pod: string, options: ReadLogsOptions) {
  const { follow, signal, tailLines } = options;
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log`;
  const query = { container: SHIP_CONTAINER, follow, tailLines };
  try {
    const response = await client.stream(path, { query, signal });
    try {
      yield* response.setEncoding('utf8') as AsyncIterable<string>;
    } finally {
      response.destroy();
    }
  } catch (error) {
    if (!signal.aborted && !isKubeError(error, 400, 404)) throw error;
  }
}
