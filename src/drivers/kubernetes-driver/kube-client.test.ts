import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from './kube-client.js';

const NO_ROLE = 'pods is forbidden: User "bay" cannot create resource "pods" in API group "" in the namespace "ships"';
const QUOTA = 'pods "ship" is forbidden: exceeded quota: small, requested: pods=1';

describe('KubeClient', () => {
  let server: Server;
  let client: KubeClient;
  let asked: string[];
  /** The tokens of the last calls, and the one that a kubeconfig read anew would have. */
  let tokens: (string | undefined)[];
  let renewed: string;
  /** By path, each in its turn; the last one stays. */
  let answers: Record<string, { status: number; body: object; retryAfter?: string }[]>;

  beforeEach(async () => {
    [asked, tokens, renewed] = [[], [], 'old'];
    server = createServer((request, response) => {
      const path = request.url ?? '';
      asked.push(`${request.method} ${path}`);
      tokens.push(request.headers.authorization);
      if (path === '/endless') return response.flushHeaders();
      const queue = answers[path] ?? [];
      const answer = (queue.length > 1 ? queue.shift() : queue[0]) ?? { status: 404, body: {} };
      response.writeHead(answer.status, answer.retryAfter ? { 'retry-after': answer.retryAfter } : {});
      response.end(JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const load = () => {
      const config = new KubeConfig();
      config.loadFromClusterAndUser(
        { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
        { name: 'bay', token: renewed },
      );
      return config;
    };
    client = new KubeClient(load(), load);
  });
  afterEach(async () => {
    client.close();
    await new Promise((resolve) => server.close(resolve));
  });

  const refused = (message: string) => ({ status: 403, body: { reason: 'Forbidden', message } });
  const create = () => client.request('POST', '/pods', { body: {} });

  it('tells a refusal as it is, once the server is ready', async () => {
    answers = { '/pods': [refused(NO_ROLE)], '/readyz': [{ status: 200, body: {} }] };
    await expect(create()).rejects.toMatchObject({ name: 'KubeError', status: 403, message: NO_ROLE });
  });

  it('takes a server that starts, and so knows nobody, for one that does not answer', async () => {
    answers = { '/pods': [refused(NO_ROLE)], '/readyz': [{ status: 500, body: {} }] };
    await expect(create()).rejects.toMatchObject({
      reason: 'DRIVER_UNAVAILABLE',
      message: expect.stringContaining(`it is not ready: ${NO_ROLE}`) as string,
    });
  });

  const unauthorized = { status: 401, body: { reason: 'Unauthorized', message: 'Unauthorized' } };

  it('tells an account that is refused from a server that is not ready, which it asks as nobody', async () => {
    answers = { '/pods': [unauthorized], '/readyz': [{ status: 200, body: {} }] };
    await expect(create()).rejects.toMatchObject({ name: 'KubeError', status: 401 });
    expect(tokens.slice(0, 2)).toEqual(['Bearer old', undefined]);
  });

  it('goes on with the token of a kubeconfig that was renewed', async () => {
    answers = {
      '/pods': [unauthorized, { status: 201, body: { kind: 'Pod' } }],
      '/readyz': [{ status: 200, body: {} }],
    };
    renewed = 'new';
    expect(await create()).toEqual({ kind: 'Pod' });
    expect(tokens.at(-1)).toBe('Bearer new');
  });

  it('asks nothing where the refusal is none of roles', async () => {
    answers = { '/pods': [refused(QUOTA)] };
    await expect(create()).rejects.toMatchObject({ name: 'KubeError', message: QUOTA });
    expect(asked).toEqual(['POST /pods']);
  });

  it('asks a busy server again when it says', async () => {
    answers = {
      '/pods': [
        { status: 429, body: {}, retryAfter: '0.02' },
        { status: 201, body: { kind: 'Pod' } },
      ],
    };
    expect(await create()).toEqual({ kind: 'Pod' });
    expect(asked).toEqual(['POST /pods', 'POST /pods']);
  });

  it('asks a busy server again for a stream', async () => {
    answers = {
      '/log': [
        { status: 429, body: {}, retryAfter: '0.02' },
        { status: 200, body: {} },
      ],
    };
    const response = await client.stream('/log', { signal: AbortSignal.timeout(10_000) });
    response.destroy();
    expect(asked).toEqual(['GET /log', 'GET /log']);
  });

  it('says that the server is busy, where that does not end in time', async () => {
    answers = { '/pods': [{ status: 429, body: { message: 'too many requests' }, retryAfter: '60' }] };
    await expect(client.request('GET', '/pods', { timeoutMs: 50 })).rejects.toMatchObject({
      reason: 'DRIVER_UNAVAILABLE',
      message: expect.stringContaining('it is too busy: too many requests') as string,
    });
  });

  it('asks again where others changed the account of a quota first', async () => {
    const message = 'Operation cannot be fulfilled on resourcequotas "small": the object has been modified';
    answers = {
      '/pods': [
        { status: 409, body: { reason: 'Conflict', message } },
        { status: 201, body: { kind: 'Pod' } },
      ],
    };
    expect(await create()).toEqual({ kind: 'Pod' });
  });

  it('finds a connection for a call, however many streams are open', async () => {
    answers = { '/pods': [{ status: 200, body: { kind: 'PodList' } }] };
    const signal = AbortSignal.timeout(10_000);
    const streams = await Promise.all(Array.from({ length: 100 }, () => client.stream('/endless', { signal })));
    expect(await client.request('GET', '/pods', { timeoutMs: 5_000 })).toEqual({ kind: 'PodList' });
    for (const stream of streams) stream.destroy();
  });
});
