import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { createClaim } from './claims.js';
import { KubeClient } from './kube-client.js';
import { shipName } from './names.js';
import { TEST_OPTIONS } from './testing/test-options.js';

describe('a claim that the server is slow to make', () => {
  let server: Server;
  let client: KubeClient;
  /** Of the POST, which waits until the test answers it. */
  let making: Promise<ServerResponse>;
  let removed: Promise<string>;
  beforeEach(async () => {
    server = createServer();
    making = new Promise((resolve) => {
      removed = new Promise((tell) => {
        server.on('request', (request, response) => {
          if (request.method === 'POST') return resolve(response);
          response.end('{}');
          tell(`${request.method} ${request.url?.split('/').at(-1)}`);
        });
      });
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
  afterEach(async () => {
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('is not waited for beyond a bound, and is given up when it comes after all', async () => {
    const { signal } = new AbortController();
    const made = createClaim({ client, namespace: 'ships', name: 'test' }, 'late', TEST_OPTIONS, signal, 20);
    await expect(made).rejects.toMatchObject({ reason: 'DRIVER_UNAVAILABLE' });
    (await making).end('{}');
    expect(await removed).toBe(`DELETE ${shipName(TEST_OPTIONS.deploymentId, 'late')}`);
  });

  it('is given up too when its caller left, who is let go at once', async () => {
    const caller = new AbortController();
    const made = createClaim({ client, namespace: 'ships', name: 'test' }, 'left', TEST_OPTIONS, caller.signal);
    const answer = await making;
    caller.abort(new Error('the caller left'));
    await expect(made).rejects.toThrow('the caller left');
    answer.end('{}');
    expect(await removed).toBe(`DELETE ${shipName(TEST_OPTIONS.deploymentId, 'left')}`);
  });
});
