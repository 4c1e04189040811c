import { describe, expect, it } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { BayServiceDefinition } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { createClient } from '../../proto/rpc/client.js';
import type { Implementation } from '../../proto/rpc/definition.js';
import { inProcess } from '../../proto/rpc/in-process.js';
import { createRouter } from '../../proto/rpc/router.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { createLogs } from '../telemetry/log.js';
import { authInterceptor, createAuthorizer } from './auth.js';
import { logInterceptor } from './log.js';

describe('the auth interceptor', () => {
  const authorize = createAuthorizer('right-token');

  it('takes the token, whatever the case of the scheme', () => {
    for (const text of ['Bearer right-token', 'bearer right-token', 'BEARER   right-token ']) {
      expect(() => authorize(text)).not.toThrow();
    }
  });

  it.each([
    [undefined, 'TOKEN_MISSING', 'Not authenticated'],
    ['', 'TOKEN_MISSING', 'Not authenticated'],
    ['Bearer', 'TOKEN_MISSING', 'Not authenticated'],
    ['Bearer  ', 'TOKEN_MISSING', 'Not authenticated'],
    ['Basic abc', 'TOKEN_MISSING', 'Invalid authentication credentials'],
    ['Bearer right-token2', 'TOKEN_INVALID', 'Invalid access token'],
    ['Bearer right', 'TOKEN_INVALID', 'Invalid access token'],
    ['Bearer right-token right-token', 'TOKEN_INVALID', 'Invalid access token'],
  ])('refuses %p with %s', (authorization, reason, message) => {
    expect(() => authorize(authorization)).toThrow(expect.objectContaining({ reason, message }));
  });

  it('stands before every call, streams too', async () => {
    const { client } = makeBay();
    await expect(client.getShip({ shipId: 'x' })).rejects.toMatchObject({ reason: 'TOKEN_MISSING' });
    const logs = client.streamShipLogs({ shipId: 'x', follow: false });
    await expect(logs[Symbol.asyncIterator]().next()).rejects.toMatchObject({ reason: 'TOKEN_MISSING' });
  });
});

describe('the log interceptor', () => {
  const metadata = { authorization: 'Bearer right-token' };

  it('writes one line a call with what was called, on what, and how it ended', async () => {
    const { client, lines } = makeBay();
    await client.getShip({ shipId: 'ship-1' }, { metadata });
    expect(await lines()).toMatchObject([
      { level: 'info', method: '/shipyard.bay.v1.BayService/GetShip', shipId: 'ship-1', code: 'OK', peer: 'test' },
    ]);
    expect((await lines())[0]).toHaveProperty('durationMs');
  });

  it('writes the reason of a failure, and its cause only where it is ours', async () => {
    const { client, lines } = makeBay();
    await expect(client.getShip({ shipId: 'none' }, { metadata })).rejects.toThrow();
    await expect(client.getShip({ shipId: 'bug' }, { metadata })).rejects.toThrow('internal error');
    const [missing, bug] = await lines();
    expect(missing).toMatchObject({ level: 'info', code: 'NOT_FOUND', reason: 'SHIP_NOT_FOUND' });
    expect(missing).not.toHaveProperty('err');
    expect(bug).toMatchObject({ level: 'error', code: 'INTERNAL', err: { message: 'a defect' } });
  });

  it('never writes a token', async () => {
    const { client, lines, text } = makeBay();
    await client.getShip({ shipId: 'ship-1' }, { metadata });
    await expect(client.getShip({ shipId: 'x' }, { metadata: { authorization: 'Bearer guess' } })).rejects.toThrow();
    expect(await lines()).toHaveLength(2);
    expect(text()).not.toMatch(/right-token|guess/);
  });
});

function makeBay() {
  const stream = new PassThrough();
  let written = '';
  stream.on('data', (chunk: Buffer) => (written += chunk.toString()));
  const logs = createLogs({ level: 'info', destination: stream });
  const fail = () => {
    throw new StatusError('SHIP_NOT_FOUND', 'Ship not found');
  };
  const service = Object.fromEntries(Object.keys(BayServiceDefinition.methods).map((key) => [key, fail]));
  const implementation = {
    ...service,
    getShip: async ({ shipId }: { shipId: string }) => {
      if (shipId === 'none') fail();
      if (shipId === 'bug') throw new Error('a defect');
      return { shipId };
    },
  } as unknown as Implementation<typeof BayServiceDefinition>;
  const router = createRouter({
    services: [[BayServiceDefinition, implementation]],
    interceptors: [logInterceptor(logs), authInterceptor(createAuthorizer('right-token'))],
  });
  return {
    client: createClient(BayServiceDefinition, inProcess(router, { peer: 'test' })),
    text: () => written,
    /** Of the calls that were answered. */
    lines: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      logs.flush();
      return written
        .trim()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}
