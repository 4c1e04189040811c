import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Reason } from '../../../proto/rpc/reasons.js';
import { AUTH, startApi, type TestApi } from './testing/start-api.js';
import { SHIP_ID, STOPPED_ID } from './testing/fake-shipyard.js';

let api: TestApi;
beforeEach(async () => (api = await startApi()));
afterEach(() => api.close());

const get = (path: string) => api.request('GET', path, { headers: AUTH });

describe('a ship', () => {
  it('has every documented key, in order, in the documented formats', async () => {
    const answer = await get(`/ship/${SHIP_ID}`);
    expect(answer.text).toBe(
      `{"id":"${SHIP_ID}","status":1,"created_at":"2026-11-22T19:15:58.580000","updated_at":"2026-11-22T19:16:00.000000",` +
        '"container_id":"4711","ip_address":null,"ttl":3599,"max_session_num":1,"current_session_num":1,' +
        '"expires_at":"2026-11-22T20:15:58.007000Z"}',
    );
  });

  it('is answered with status 0 and no expiry once stopped', async () => {
    expect(await get(`/ship/${STOPPED_ID}`)).toMatchObject({ status: 200, json: { status: 0, expires_at: null } });
  });

  it('says why it does not run, and while it runs nothing beside the documented keys', async () => {
    expect((await get(`/ship/${STOPPED_ID}`)).json).toMatchObject({ state_reason: 'stopped by request' });
    expect((await get(`/ship/${SHIP_ID}`)).json).not.toHaveProperty('state_reason');
  });

  it('is listed while it runs', async () => {
    const answer = await get('/ships');
    expect((answer.json as Array<{ id: string }>).map(({ id }) => id)).toEqual([SHIP_ID]);
  });

  it('lists none as an empty array', async () => {
    api.shipyard.ships.clear();
    expect((await get('/ships')).text).toBe('[]');
  });
});

describe('POST /ship', () => {
  it('answers 201 with the ttl that was asked for', async () => {
    expect(await api.post('/ship', { ttl: 60 })).toMatchObject({
      status: 201,
      json: { id: SHIP_ID, status: 1, ttl: 60, current_session_num: 1, expires_at: '2026-11-22T20:15:58.007000Z' },
    });
  });

  it.each<[Reason, number, string, string | undefined]>([
    ['SHIP_LIMIT_REACHED', 429, 'Maximum number of ships reached', '1'],
    ['SHIP_WAIT_TIMEOUT', 408, 'Timeout waiting for available ship slot', undefined],
    ['SHIP_START_FAILED', 503, 'the words of the cause', '1'],
    ['DRIVER_UNAVAILABLE', 503, 'the words of the cause', '1'],
    ['DRIVER_REFUSED', 500, 'the words of the cause', undefined],
    ['DISK_FULL', 507, 'the words of the cause', undefined],
    ['INTERNAL', 500, 'Internal Server Error', undefined],
  ])('answers %s with %d', async (reason, status, detail, retryAfter) => {
    api.shipyard.failures.set('createShip', new StatusError(reason, 'the words of the cause'));
    const answer = await api.post('/ship', { ttl: 60 });
    expect([answer.status, answer.json, answer.headers['retry-after']]).toEqual([status, { detail }, retryAfter]);
  });

  it.each([
    ['session_id', ['header', 'X-SESSION-ID'], 'session-1'],
    ['spec.cpus', ['body', 'spec', 'cpus'], 5000],
    ['spec.memory', ['body', 'spec', 'memory'], '1k'],
    ['something_else', ['body'], null],
  ])('puts what Bay says of %s at its place', async (field, loc, input) => {
    const refusal = new StatusError('INVALID_ARGUMENT', 'out of range', { details: { field } });
    api.shipyard.failures.set('createShip', refusal);
    const answer = await api.post('/ship', { ttl: 60, spec: { cpus: 5000, memory: '1k' } });
    expect([answer.status, answer.json]).toEqual([
      422,
      { detail: [{ type: 'value_error', loc, msg: 'Value error, out of range', input, ctx: { error: {} } }] },
    ]);
  });

  it('says when to come again where the cause knows', async () => {
    const details = { retry_after_seconds: 7.2 };
    api.shipyard.failures.set('createShip', new StatusError('SHIP_LIMIT_REACHED', 'full', { details }));
    expect((await api.post('/ship', { ttl: 60 })).headers['retry-after']).toBe('8');
  });

  it('answers 422 to what only Bay can judge', async () => {
    api.shipyard.failures.set('createShip', new StatusError('INVALID_ARGUMENT', 'memory below 6m: 1m'));
    const answer = await api.post('/ship', { ttl: 60, spec: { memory: '1m' } });
    expect(answer).toMatchObject({ status: 422, json: { detail: [{ msg: 'Value error, memory below 6m: 1m' }] } });
  });
});

describe('DELETE /ship/{id}', () => {
  const remove = (query = '') => api.request('DELETE', `/ship/${SHIP_ID}${query}`, { headers: AUTH });

  it('answers 204 without a body', async () => {
    const answer = await remove();
    expect([answer.status, answer.text, answer.headers['content-type']]).toEqual([204, '', undefined]);
    expect(api.shipyard.deleted).toEqual([{ shipId: SHIP_ID, keepWorkspace: false }]);
  });

  it('keeps the workspace where asked', async () => {
    expect((await remove('?keep_workspace=true')).status).toBe(204);
    expect(api.shipyard.deleted).toEqual([{ shipId: SHIP_ID, keepWorkspace: true }]);
  });

  it('refuses a flag that is none', async () => {
    const answer = await remove('?keep_workspace=maybe');
    expect(answer.text).toBe(
      '{"detail":[{"type":"bool_parsing","loc":["query","keep_workspace"],' +
        '"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"}]}',
    );
  });

  it('answers 404 to an unknown ship', async () => {
    api.shipyard.ships.clear();
    expect(await remove()).toMatchObject({ status: 404, text: '{"detail":"Ship not found"}' });
  });

  it('answers 503 while the engine is away', async () => {
    api.shipyard.failures.set('deleteShip', new StatusError('DRIVER_UNAVAILABLE', 'no answer'));
    expect(await remove()).toMatchObject({ status: 503, text: '{"detail":"no answer"}' });
  });
});

describe('POST /ship/{id}/extend-ttl', () => {
  const extend = (id: string, body: unknown) => api.post(`/ship/${id}/extend-ttl`, body, AUTH);

  it('answers the ship with exactly the new ttl', async () => {
    expect(await extend(SHIP_ID, { ttl: 5000 })).toMatchObject({ status: 200, json: { id: SHIP_ID, ttl: 5000 } });
  });

  it.each([STOPPED_ID, 'nobody'])('answers 404 to %s', async (id) => {
    expect(await extend(id, { ttl: 1 })).toMatchObject({ status: 404, text: '{"detail":"Ship not found"}' });
  });

  it('validates its body', async () => {
    expect(await extend(SHIP_ID, { ttl: 0, x: 1 })).toMatchObject({
      status: 422,
      json: { detail: [{ type: 'greater_than' }, { type: 'extra_forbidden' }] },
    });
  });
});

describe('GET /ship/logs/{id}', () => {
  it('joins all of it', async () => {
    expect(await get(`/ship/logs/${SHIP_ID}`)).toMatchObject({
      status: 200,
      text: '{"logs":"booted\\nready \\"1\\"\\n"}',
    });
  });

  it.each([STOPPED_ID, 'nobody'])('is empty for %s', async (id) => {
    expect(await get(`/ship/logs/${id}`)).toMatchObject({ status: 200, text: '{"logs":""}' });
  });

  it('is empty while the engine is away', async () => {
    api.shipyard.failures.set('streamShipLogs', new StatusError('DRIVER_UNAVAILABLE', 'no answer'));
    expect(await get(`/ship/logs/${SHIP_ID}`)).toMatchObject({ status: 200, text: '{"logs":""}' });
  });
});
