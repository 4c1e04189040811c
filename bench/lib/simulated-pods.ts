import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  deploymentSelector,
  podLabels,
  podName,
  SHIP_ID_ANNOTATION,
} from '../../src/drivers/kubernetes-driver/names.js';

/** An API server that has the Pods of many ships, all of them running, and tells of no change. */
export interface SimulatedPods {
  readonly kubeconfig: object;
  close(): void;
}

export async function serveSimulatedPods(deploymentId: string, ships: number): Promise<SimulatedPods> {
  const items = Array.from({ length: ships }, (_, i) => podOf(deploymentId, `ship-${i}`));
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://server');
    response.writeHead(200, { 'content-type': 'application/json' });
    if (searchParams.has('watch')) return response.flushHeaders();
    const mine = searchParams.get('labelSelector') === deploymentSelector(deploymentId);
    response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: mine ? items : [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    kubeconfig: {
      clusters: [
        { name: 'simulated', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } },
      ],
      users: [{ name: 'simulated', user: {} }],
      contexts: [{ name: 'simulated', context: { cluster: 'simulated', user: 'simulated' } }],
      'current-context': 'simulated',
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function podOf(deploymentId: string, id: string) {
  const ship = { id, incarnation: 1 };
  const running = { name: 'ship', state: { running: { startedAt: '2026-01-01T00:00:00Z' } } };
  return {
    metadata: {
      name: podName(deploymentId, ship),
      labels: podLabels(deploymentId, ship, 'internet'),
      annotations: { [SHIP_ID_ANNOTATION]: id },
    },
    status: { phase: 'Running', podIP: '10.0.0.1', containerStatuses: [running] },
  };
}
