import type { ServerResponse } from 'node:http';
import { silentLog } from '../../telemetry/log.js';
import { createPod } from './create-pod.js';
import { PodWatch } from './pod-watch.js';
import { ApiServer } from './testing/api-server.js';

describe('a Pod that the server is slow to make', () => {
  let server: ApiServer;
  let watch: PodWatch;
  /** Of the POST, which waits until the test answers it. */
  let making: Promise<ServerResponse>;
  let removed: Promise<string>;
  beforeEach(async () => {
    let made: (response: ServerResponse) => void;
    let tell: (removal: string) => void;
    making = new Promise((resolve) => (made = resolve));
    removed = new Promise((resolve) => (tell = resolve));
    server = await ApiServer.start(({ method, url = '' }, response) => {
      if (method === 'POST') return made(response);
      if (method === 'DELETE') tell(`${method} ${new URL(url, 'http://server').pathname.split('/').at(-1)}`);
      response.end('{"kind":"Status"}');
    });
    watch = new PodWatch({ client: server.client, namespace: 'ships', name: 'test' }, 'none', silentLog);
  });
  afterEach(async () => {
    await watch.close();
    await server.close();
  });

  it('is removed when it comes after its caller left, who is let go at once', async () => {
    const caller = new AbortController();
    const pod = { shipId: 'late', name: 'ship-late-1', body: {} };
    const made = createPod(
      { client: server.client, namespace: 'ships', name: 'test' },
      watch,
      pod,
      silentLog,
      caller.signal,
    );
    const answer = await making;
    caller.abort(new Error('the caller left'));
    await expect(made).rejects.toThrow('the caller left');
    answer.end('{"kind":"Pod"}');
    expect(await removed).toBe('DELETE ship-late-1');
  });
});
