import type { ServerResponse } from 'node:http';
import { createClaim } from './claims.js';
import { shipName } from './names.js';
import { ApiServer } from './testing/api-server.js';
import { TEST_OPTIONS } from './testing/test-options.js';

describe('a claim that the server is slow to make', () => {
  let server: ApiServer;
  /** Of the POST, which waits until the test answers it. */
  let making: Promise<ServerResponse>;
  let removed: Promise<string>;
  beforeEach(async () => {
    let made: (response: ServerResponse) => void;
    let tell: (removal: string) => void;
    making = new Promise((resolve) => (made = resolve));
    removed = new Promise((resolve) => (tell = resolve));
    server = await ApiServer.start(({ method, url }, response) => {
      if (method === 'POST') return made(response);
      response.end('{}');
      tell(`${method} ${url?.split('/').at(-1)}`);
    });
  });
  afterEach(async () => {
    await server.close();
  });

  it('is not waited for beyond a bound, and is given up when it comes after all', async () => {
    const { signal } = new AbortController();
    const made = createClaim(
      { client: server.client, namespace: 'ships', name: 'test' },
      'late',
      TEST_OPTIONS,
      signal,
      20,
    );
    await expect(made).rejects.toMatchObject({ reason: 'DRIVER_UNAVAILABLE' });
    (await making).end('{}');
    expect(await removed).toBe(`DELETE ${shipName(TEST_OPTIONS.deploymentId, 'late')}`);
  });

  it('is given up too when its caller left, who is let go at once', async () => {
    const caller = new AbortController();
    const made = createClaim(
      { client: server.client, namespace: 'ships', name: 'test' },
      'left',
      TEST_OPTIONS,
      caller.signal,
    );
    const answer = await making;
    caller.abort(new Error('the caller left'));
    await expect(made).rejects.toThrow('the caller left');
    answer.end('{}');
    expect(await removed).toBe(`DELETE ${shipName(TEST_OPTIONS.deploymentId, 'left')}`);
  });
});
