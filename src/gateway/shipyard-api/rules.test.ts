import { AUTH, HEADERS, startApi, type TestApi } from './testing/start-api.js';
import { SESSION, SHIP_ID } from './testing/fake-shipyard.js';

let api: TestApi;
beforeAll(async () => (api = await startApi()));
afterAll(() => api.close());

const item = (type: string, loc: unknown[], msg: string, input: unknown, ctx?: object) => ({
  type,
  loc,
  msg,
  input,
  ...(ctx ? { ctx } : {}),
});
const NO_SESSION = item('missing', ['header', 'X-SESSION-ID'], 'Field required', null);

describe('authorization', () => {
  it.each([
    ['nothing', undefined, 403, 'Not authenticated'],
    ['an empty credential', 'Bearer', 403, 'Not authenticated'],
    ['an empty credential behind a space', 'Bearer ', 403, 'Not authenticated'],
    ['no scheme', 'the-token', 403, 'Not authenticated'],
    ['another scheme', 'Basic the-token', 403, 'Invalid authentication credentials'],
    ['a wrong token', 'Bearer wrong', 401, 'Invalid access token'],
    ['a token behind two spaces', 'Bearer  the-token', 401, 'Invalid access token'],
  ])('refuses %s on every closed route', async (_name, authorization, status, detail) => {
    const headers = { 'x-session-id': SESSION, ...(authorization === undefined ? {} : { authorization }) };
    for (const [method, path] of CLOSED) {
      const body = method === 'POST' ? '{}' : undefined;
      const answer = await api.request(method, path, {
        headers: { ...headers, 'content-type': 'application/json' },
        body,
      });
      expect([path, answer.status, answer.text]).toEqual([path, status, JSON.stringify({ detail })]);
      expect(answer.headers['www-authenticate']).toBe(status === 401 ? 'Bearer' : undefined);
    }
  });

  it('takes the scheme in any case', async () => {
    expect(await api.request('GET', '/ships', { headers: { authorization: 'bEARER the-token' } })).toMatchObject({
      status: 200,
    });
  });

  it('is not asked for by the open routes', async () => {
    const open = await Promise.all(['/', '/health', '/stat'].map((path) => api.request('GET', path)));
    expect(open.map(({ status, text }) => [status, text])).toEqual([
      [200, '{"status":"ok","message":"Welcome to Bay API"}'],
      [200, '{"status":"ok","message":"Bay service is running"}'],
      [200, '{"service":"bay","version":"1.2.3","status":"running","author":"AstrBot Team"}'],
    ]);
  });
});

const CLOSED: ReadonlyArray<readonly [string, string]> = [
  ['GET', '/ships'],
  ['POST', '/ship'],
  ['GET', `/ship/${SHIP_ID}`],
  ['DELETE', `/ship/${SHIP_ID}`],
  ['POST', `/ship/${SHIP_ID}/exec`],
  ['GET', `/ship/logs/${SHIP_ID}`],
  ['POST', `/ship/${SHIP_ID}/extend-ttl`],
  ['POST', `/ship/${SHIP_ID}/upload`],
  ['GET', `/ship/${SHIP_ID}/download?file_path=a`],
];

describe('the order of checks', () => {
  it('tells a wrong method before broken JSON', async () => {
    expect(await api.request('PUT', '/ship', { body: '{' })).toMatchObject({ status: 405 });
  });

  it('tells broken JSON before a missing token', async () => {
    expect(await api.post('/ship', '{', { 'content-type': 'application/json' })).toMatchObject({ status: 422 });
  });

  it('tells a missing token before what the body lacks', async () => {
    expect(await api.post('/ship', '{}', { 'content-type': 'application/json' })).toMatchObject({ status: 403 });
  });

  it('does not read a large body of somebody without a token', async () => {
    const answer = await api.post('/ship', `"${'x'.repeat(2 * 1024 * 1024)}`, {});
    expect([answer.status, answer.text]).toEqual([403, '{"detail":"Not authenticated"}']);
  });

  it('collects what is wrong with the header and the body, the header first', async () => {
    const answer = await api.post('/ship', '{"ttl":0,"foo":1}', AUTH);
    expect([answer.status, answer.json]).toEqual([
      422,
      {
        detail: [
          NO_SESSION,
          item('greater_than', ['body', 'ttl'], 'Input should be greater than 0', 0, { gt: 0 }),
          item('extra_forbidden', ['body', 'foo'], 'Extra inputs are not permitted', 1),
        ],
      },
    ]);
  });

  it('puts the query before the header', async () => {
    const answer = await api.request('GET', `/ship/${SHIP_ID}/download`, { headers: AUTH });
    const missingPath = item('missing', ['query', 'file_path'], 'Field required', null);
    expect([answer.status, answer.json]).toEqual([422, { detail: [missingPath, NO_SESSION] }]);
  });
});

describe('a body that is refused', () => {
  const number = 'Input should be a valid integer';
  const object = 'Input should be a valid dictionary or object to extract fields from';

  it.each([
    ['{}', '{"type":"missing","loc":["body","ttl"],"msg":"Field required","input":{}}'],
    ['', '{"type":"missing","loc":["body"],"msg":"Field required","input":null}'],
    ['null', '{"type":"missing","loc":["body"],"msg":"Field required","input":null}'],
    [
      '{"ttl":1,"foo":"x"}',
      '{"type":"extra_forbidden","loc":["body","foo"],"msg":"Extra inputs are not permitted","input":"x"}',
    ],
    [
      '{"ttl":-1.0}',
      '{"type":"greater_than","loc":["body","ttl"],"msg":"Input should be greater than 0","input":-1.0,"ctx":{"gt":0}}',
    ],
    [
      '{"ttl":1.50}',
      `{"type":"int_from_float","loc":["body","ttl"],"msg":"${number}, got a number with a fractional part","input":1.5}`,
    ],
    [
      '{"ttl":"abc"}',
      `{"type":"int_parsing","loc":["body","ttl"],"msg":"${number}, unable to parse string as an integer","input":"abc"}`,
    ],
    ['{"ttl":null}', `{"type":"int_type","loc":["body","ttl"],"msg":"${number}","input":null}`],
    ['{"ttl":[1]}', `{"type":"int_type","loc":["body","ttl"],"msg":"${number}","input":[1]}`],
    [
      '{"ttl":1e30}',
      '{"type":"int_parsing_size","loc":["body","ttl"],"msg":"Unable to parse input string as an integer, exceeded maximum size","input":1e+30}',
    ],
    [
      '{"ttl":NaN}',
      '{"type":"finite_number","loc":["body","ttl"],"msg":"Input should be a finite number","input":null}',
    ],
    [
      '{"ttl":1,"max_session_num":null}',
      `{"type":"int_type","loc":["body","max_session_num"],"msg":"${number}","input":null}`,
    ],
    [
      '{"ttl":1,"spec":{"cpus":0}}',
      '{"type":"greater_than","loc":["body","spec","cpus"],"msg":"Input should be greater than 0","input":0,"ctx":{"gt":0.0}}',
    ],
    [
      '{"ttl":1,"spec":{"cpus":"a"}}',
      '{"type":"float_parsing","loc":["body","spec","cpus"],"msg":"Input should be a valid number, unable to parse string as a number","input":"a"}',
    ],
    [
      '{"ttl":1,"spec":{"memory":1}}',
      '{"type":"string_type","loc":["body","spec","memory"],"msg":"Input should be a valid string","input":1}',
    ],
    ['{"ttl":1,"spec":[]}', `{"type":"model_attributes_type","loc":["body","spec"],"msg":"${object}","input":[]}`],
    [
      '[{"2":1.0,"1":2}]',
      `{"type":"model_attributes_type","loc":["body"],"msg":"${object}","input":[{"2":1.0,"1":2}]}`,
    ],
  ])('%s', async (body, expected) => {
    const answer = await api.post('/ship', body);
    expect([answer.status, answer.text]).toEqual([422, `{"detail":[${expected}]}`]);
    expect(answer.headers['content-type']).toBe('application/json');
  });

  it.each(['1.5g', '512mib', '512mi', '512MI', '5b', '-1m', '0', '', 'm', 'Mi'])(
    'says what memory may be instead of %j',
    async (memory) => {
      const answer = await api.post('/ship', { ttl: 1, spec: { memory } });
      expect(answer).toMatchObject({
        status: 422,
        json: { detail: [{ loc: ['body', 'spec', 'memory'], input: memory }] },
      });
      expect(answer.text).toContain('k, kb, m, mb, g or gb');
    },
  );

  it.each([
    ['{', 1, 'Expecting property name enclosed in double quotes'],
    ['{"a"', 4, "Expecting ':' delimiter"],
    ['{"a":', 5, 'Expecting value'],
    ['{"a":1 "b":2}', 7, "Expecting ',' delimiter"],
    ['"😀" x', 4, 'Extra data'],
    ['"abc', 0, 'Unterminated string starting at'],
    ['"\\x"', 1, 'Invalid \\escape'],
    ['"\\ud800\\u12"', 8, 'Invalid \\uXXXX escape'],
    ['  ', 2, 'Expecting value'],
  ])('broken JSON %s at offset %d', async (body, offset, error) => {
    const answer = await api.post('/ship', body);
    const expected = item('json_invalid', ['body', offset], 'JSON decode error', {}, { error });
    expect([answer.status, answer.json]).toEqual([422, { detail: [expected] }]);
  });

  it.each([
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['nesting beyond what Python takes', '['.repeat(100_000)],
    ['a number of too many digits', `[${'9'.repeat(5000)}`],
  ])('%s', async (_name, body) => {
    const answer = await api.request('POST', '/ship', { headers: HEADERS, body });
    expect([answer.status, answer.text]).toEqual([400, '{"detail":"There was an error parsing the body"}']);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'no type at all', 'a/b/c'])(
    'sent as %s is taken for text',
    async (contentType) => {
      const answer = await api.post('/ship', '{"ttl":5}', { ...HEADERS, 'content-type': contentType });
      const expected = item('model_attributes_type', ['body'], object, '{"ttl":5}');
      expect([answer.status, answer.json]).toEqual([422, { detail: [expected] }]);
    },
  );

  it('leaves the route working', async () => {
    expect(await api.post('/ship', { ttl: 60 })).toMatchObject({ status: 201 });
  });
});

describe('a body that is accepted', () => {
  const asked = () => api.shipyard.created.at(-1);

  it.each([
    ['{"ttl":"61"}', { ttlSeconds: 61 }],
    ['{"ttl":60.0}', { ttlSeconds: 60 }],
    ['{"ttl":true}', { ttlSeconds: 1 }],
    ['{"ttl":" 6_1 "}', { ttlSeconds: 61 }],
    ['{"ttl":1,"spec":{"cpus":"0.5"}}', { spec: { cpus: 0.5 } }],
    ['{"ttl":1,"spec":{"cpus":true,"memory":" 512MB "}}', { spec: { cpus: 1, memory: '512mb' } }],
    ['{"ttl":1,"spec":{"memory":" 512Mi "}}', { spec: { memory: '512Mi' } }],
    ['{"ttl":1,"spec":null}', { spec: undefined, maxSessionNum: 1 }],
    ['{"ttl":1,"spec":{}}', { spec: { cpus: undefined, memory: undefined } }],
    ['{"ttl":1,"ttl":2,"max_session_num":"3"}', { ttlSeconds: 2, maxSessionNum: 3 }],
  ])('%s', async (body, expected) => {
    expect(await api.post('/ship', body)).toMatchObject({ status: 201 });
    expect(asked()).toMatchObject({ sessionId: SESSION, ...expected });
  });

  it.each(['application/json', 'APPLICATION/JSON; charset=x', 'application/foo+json', undefined])(
    'as %s',
    async (contentType) => {
      const headers = { ...AUTH, 'x-session-id': SESSION, ...(contentType ? { 'content-type': contentType } : {}) };
      expect(await api.post('/ship', '{"ttl":7}', headers)).toMatchObject({ status: 201 });
      expect(asked()).toMatchObject({ ttlSeconds: 7 });
    },
  );

  it.each([
    ['a byte order mark', Buffer.from('\ufeff{"ttl":8}')],
    ['UTF-16', Buffer.from('\ufeff{"ttl":8}', 'utf16le')],
    ['UTF-16 without a mark', Buffer.from('{"ttl":8}', 'utf16le')],
  ])('with %s', async (_name, body) => {
    expect(await api.request('POST', '/ship', { headers: HEADERS, body })).toMatchObject({ status: 201 });
    expect(asked()).toMatchObject({ ttlSeconds: 8 });
  });
});

describe('X-SESSION-ID', () => {
  it('may be empty', async () => {
    expect(await api.post('/ship', { ttl: 1 }, { ...HEADERS, 'x-session-id': '' })).toMatchObject({ status: 201 });
    expect(api.shipyard.created.at(-1)).toMatchObject({ sessionId: ' ' }); // see session-id.ts
  });

  it('may be any UTF-8', async () => {
    const sent = Buffer.from('聊天/1').toString('latin1');
    expect(await api.post('/ship', { ttl: 1 }, { ...HEADERS, 'x-session-id': sent })).toMatchObject({ status: 201 });
    expect(api.shipyard.created.at(-1)).toMatchObject({ sessionId: '聊天/1' });
  });

  it('counts once where it is given twice', async () => {
    const answer = await api.post('/ship', { ttl: 1 }, { ...HEADERS, 'x-session-id': ['first', 'second'] });
    expect(answer).toMatchObject({ status: 201 });
    expect(api.shipyard.created.at(-1)).toMatchObject({ sessionId: 'first' });
  });

  it('is required on four routes only', async () => {
    const without = async (method: string, path: string, body?: string) =>
      (await api.request(method, path, { headers: { ...AUTH, 'content-type': 'application/json' }, body })).status;
    expect(await without('POST', '/ship', '{"ttl":1}')).toBe(422);
    expect(await without('POST', `/ship/${SHIP_ID}/exec`, '{"type":"x"}')).toBe(422);
    expect(await without('POST', `/ship/${SHIP_ID}/upload`, '{}')).toBe(422);
    expect(await without('GET', `/ship/${SHIP_ID}/download?file_path=a`)).toBe(422);
    expect(await without('POST', `/ship/${SHIP_ID}/extend-ttl`, '{"ttl":1}')).toBe(200);
    expect(await without('GET', `/ship/${SHIP_ID}`)).toBe(200);
    expect(await without('GET', '/ships')).toBe(200);
    expect(await without('GET', `/ship/logs/${SHIP_ID}`)).toBe(200);
    expect(await without('DELETE', `/ship/${SHIP_ID}`)).toBe(204);
  });
});

describe('paths and methods', () => {
  const ask = (method: string, path: string) => api.request(method, path, { headers: AUTH });

  it.each([
    ['PUT', '/ship', 'POST'],
    ['GET', '/ship', 'POST'],
    ['HEAD', '/ships', 'GET'],
    ['OPTIONS', '/ships', 'GET'],
    ['PROPFIND', '/ships', 'GET'],
    ['QUERY', '/ships', 'GET'],
    ['POST', '/ship/x', 'GET, DELETE'],
    ['POST', '/ship/logs/x', 'GET'],
    ['GET', '/ship/x/exec', 'POST'],
    ['POST', '/', 'GET'],
  ])('%s %s is 405', async (method, path, allow) => {
    const answer = await ask(method, path);
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    if (method !== 'HEAD') expect(answer.text).toBe('{"detail":"Method Not Allowed"}');
  });

  it.each([
    ['/ships/', '/ships'],
    ['/ships//', '/ships'],
    ['/ships/?a=1&b=%20', '/ships?a=1&b=%20'],
    ['/ship/', '/ship'],
    ['/ship/a%20b/exec/', '/ship/a%20b/exec'],
  ])('%s goes on to %s', async (path, to) => {
    const answer = await ask('GET', path);
    expect([answer.status, answer.headers.location, answer.text]).toEqual([
      307,
      `http://127.0.0.1:${api.port}${to}`,
      '',
    ]);
  });

  it.each(['/ship/a/b/c', '/ship/x/nope', '/ship/a%2Fb', '/ship//exec', '/ships/x', '/health/x'])(
    '%s is unknown',
    async (path) => {
      const answer = await ask('GET', path);
      expect([answer.status, answer.text]).toEqual([404, '{"detail":"Not Found"}']);
    },
  );

  it.each(['%zz', '%ff', '%00', 'a%20b', '%E4%B8%AD', '..%2e', 'logs', 'x'.repeat(3000), "'; DROP TABLE ships"])(
    'an id like %s is a ship that is not there',
    async (id) => {
      const answer = await ask('GET', `/ship/${id.replaceAll(' ', '%20')}`);
      expect([answer.status, answer.text]).toEqual([404, '{"detail":"Ship not found"}']);
    },
  );

  it('decodes an id once', async () => {
    await ask('GET', '/ship/a%2520b');
    expect(api.shipyard.calls.at(-1)).toEqual({ method: 'getShip', request: { shipId: 'a%20b' } });
  });

  it('takes the logs of a ship that is called like a route', async () => {
    await ask('GET', '/ship/logs/exec');
    expect(api.shipyard.calls.at(-1)).toMatchObject({ method: 'streamShipLogs', request: { shipId: 'exec' } });
  });
});
