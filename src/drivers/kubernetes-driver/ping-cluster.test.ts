import { pingCluster } from './ping-cluster.js';
import { ApiServer } from './testing/api-server.js';

describe('a ping of the cluster', () => {
  let server: ApiServer;
  let status: number | undefined;
  beforeEach(async () => {
    server = await ApiServer.start((_request, response) => {
      if (status !== undefined) response.writeHead(status).end('{}');
    });
  });
  afterEach(() => server.close());

  const ping = (signal = AbortSignal.timeout(10_000)) =>
    pingCluster(
      { client: server.client, namespace: 'ships', name: 'test' },
      { path: '/api/v1/namespaces/ships/pods' },
      signal,
    );

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
    await server.close();
    await expect(ping()).rejects.toMatchObject({ message: 'the API server does not answer' });
  });

  it('fails with its signal where the server hangs', async () => {
    status = undefined;
    await expect(ping(AbortSignal.timeout(20))).rejects.toMatchObject({ message: 'the API server does not answer' });
  });
});
