import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { silentLog } from '../../telemetry/log.js';
import { createPod } from './create-pod.js';
import { KubeClient } from './kube-client.js';
import { PodWatch } from './pod-watch.js';

describe('a Pod that the server is slow to make', () => {
  let server: Server;
  let client: KubeClient;
  let watch: PodWatch;
  /** Of the POST, which waits until the test answers it. */
  let making: Promise<ServerResponse>;
  let removed: Promise<string>;
  beforeEach(async () => {
    server = createServer();
    making = new Promise((resolve) => {
      removed = new Promise((tell) => {
        server.on('request', (request, response) => {
          const { method, url = '' } = request;
          if (method === 'POST') return resolve(response);
          if (method === 'DELETE') tell(`${method} ${new URL(url, 'http://server').pathname.split('/').at(-1)}`);
          response.end('{"kind":"Status"}');
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
    watch = new PodWatch({ client, namespace: 'ships', name: 'test' }, 'none', silentLog);
  });
  afterEach(async () => {
    await watch.close();
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('is removed when it comes after its caller left, who is let go at once', async () => {
    const caller = new AbortController();
    const pod = { shipId: 'late', name: 'ship-late-1', body: {} };
    const made = createPod({ client, namespace: 'ships', name: 'test' }, watch, pod, silentLog, caller.signal);
    const answer = await making;
    caller.abort(new Error('the caller left'));
    await expect(made).rejects.toThrow('the caller left');
    answer.end('{"kind":"Pod"}');
    expect(await removed).toBe('DELETE ship-late-1');
  });
});
