import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from './kube-client.js';
import { pingCluster } from './ping-cluster.js';

describe('a ping of the cluster', () => {
  let server: Server;
  let client: KubeClient;
  let status: number | undefined;
  beforeEach(async () => {
    server = createServer((_request, response) => {
      if (status !== undefined) response.writeHead(status).end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: 'bay' },
    );
    client = new KubeClient(config);
  });
  const close = async () => {
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  afterEach(close);

  const ping = (signal = AbortSignal.timeout(10_000)) =>
    pingCluster({ client, namespace: 'ships', name: 'test' }, { path: '/api/v1/namespaces/ships/pods' }, signal);

  it('is answered by a server that has Pods to tell of', async () => {
    status = 200;
    await ping();
  });

  it('fails where the server lost what it keeps Pods in', async () => {
    status = 500;
    await expect(ping()).rejects.toMatchObject({
      reason: 'DRIVER_UNAVAILABLE',
      message: 'the API server answers with status 500',
    });
  });

  it('fails where nobody answers, and does not say where that is', async () => {
    await close();
    await expect(ping()).rejects.toMatchObject({ message: 'the API server does not answer' });
  });

  it('fails with its signal where the server hangs', async () => {
    status = undefined;
    await expect(ping(AbortSignal.timeout(20))).rejects.toMatchObject({ message: 'the API server does not answer' });
  });
});
