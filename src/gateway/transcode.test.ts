import { BayServiceDefinition } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { startHttpServer, type HttpServer } from './http-server.js';
import { routesOf, type RpcRoute } from './rpc-route.js';
import { HttpClient } from './testing/http-client.js';
import { AUTH, testDescriptors, testGateway, type TestGateway } from './testing/test-gateway.js';

const descriptors = await testDescriptors();
const routes = [BayServiceDefinition, ExecutionServiceDefinition, FileServiceDefinition].flatMap((service) =>
  routesOf(service, descriptors),
);
const urlOf = (route: RpcRoute) => route.template.replace(/\{[^}]+\}/g, 'some-id');
const table = routes.map((route) => [`${route.httpMethod} ${route.template}`, route] as const);
const MAX_JSON_BYTES = 4096;

let gateway: TestGateway;
let server: HttpServer;
let http: HttpClient;
beforeAll(async () => {
  gateway = await testGateway({}, { maxJsonBytes: MAX_JSON_BYTES });
  server = await startHttpServer(gateway.deps);
  http = new HttpClient(server.port);
});
afterAll(async () => {
  http.close();
  await server.stop({ drainMs: 0 });
});
beforeEach(() => (gateway.received.length = 0));

interface Sent {
  method?: string;
  headers?: Record<string, string>;
  payload?: string | Buffer;
  query?: string;
}

async function send(route: RpcRoute, { method, headers = {}, payload, query = '' }: Sent = {}) {
  const session: Record<string, string> = route.sessionPath ? { 'x-session-id': 's1' } : {};
  const type: Record<string, string> = payload === undefined ? {} : { 'content-type': 'application/json' };
  const response = await http.send(`${urlOf(route)}${query}`, {
    method: method ?? route.httpMethod,
    headers: { ...AUTH, ...session, ...type, ...headers },
    ...(payload === undefined ? {} : { body: payload }),
  });
  const json = response.headers['content-type']?.startsWith('application/json') ? response.json<Answer>() : undefined;
  return { status: response.status, headers: response.headers, json };
}

interface Answer {
  detail: string;
  error: { code: string; status: number; reason: string; message: string; details: { violations?: unknown[] } };
}

describe('the routes of the protos', () => {
  it('are all there', () => {
    const total = [BayServiceDefinition, ExecutionServiceDefinition, FileServiceDefinition]
      .map(({ methods }) => Object.keys(methods).length)
      .reduce((sum, count) => sum + count);
    expect(routes).toHaveLength(total - 2); // but Upload and Download
  });

  describe.each(table)('%s', (_name, route) => {
    it('refuses a call without a token, and with a wrong one, before it looks at anything', async () => {
      const none = await http.send(urlOf(route), { method: route.httpMethod, body: '{' });
      expect([none.status, none.json<Answer>().error.reason]).toEqual([403, 'TOKEN_MISSING']);

      const wrong = await send(route, { headers: { authorization: 'Bearer no' }, payload: '{', query: '?nonsense=1' });
      expect([wrong.status, wrong.json?.error.reason]).toEqual([401, 'TOKEN_INVALID']);
      expect(wrong.headers['www-authenticate']).toBe('Bearer');
      expect(wrong.json?.detail).toBe('Invalid access token');
    });

    it('refuses other methods, and names its own', async () => {
      const { status, headers, json } = await send(route, { method: 'PATCH' });
      expect([status, json?.error.reason, json?.error.status]).toEqual([405, 'METHOD_UNKNOWN', 405]);
      expect(headers.allow?.toString().split(', ')).toContain(route.httpMethod);
      expect((await http.send(urlOf(route), { method: 'HEAD', headers: AUTH })).status).toBe(405);
    });

    it('refuses query parameters that it does not know, by name', async () => {
      const { status, json } = await send(route, { query: '?colour=red' });
      expect([status, json?.error.reason]).toEqual([400, 'INVALID_ARGUMENT']);
      expect(json?.detail).toContain('query parameter colour');
    });

    it('refuses a query that is not percent-encoded UTF-8', async () => {
      const { status, json } = await send(route, { query: '?%ff=1' });
      expect([status, json?.detail]).toEqual([400, 'not percent-encoded UTF-8 in the query: %ff']);
    });

    if (route.sessionPath) {
      it('refuses a call without a session, by the name of the header', async () => {
        const response = await http.send(urlOf(route), { method: route.httpMethod, headers: AUTH });
        expect([response.status, response.json<Answer>().detail]).toEqual([400, 'header X-SESSION-ID is missing']);
      });

      it('takes any text as a session', async () => {
        const latin1 = Buffer.from('сессия 😀', 'utf8').toString('latin1');
        await send(route, { headers: { 'x-session-id': latin1 }, ...(route.hasBody ? { payload: '{}' } : {}) });
        const request = gateway.received[0]?.request as { sessionId?: string; start?: { sessionId: string } };
        expect(request.sessionId ?? request.start?.sessionId).toBe('сессия 😀');
      });
    }

    if (route.hasBody) {
      it.each([
        ['{"a"', /^the body is not JSON/],
        ['nonsense', /^the body is not JSON/],
        ['{"a":1}{', /^the body is not JSON/],
        ['[]', /^the body must be an object, not an array$/],
        ['"text"', /^the body must be an object, not a string$/],
        ['null', /^the body must be an object, not null$/],
        ['{"colour":1}', /^colour is unknown \(allowed: /],
        ['{"__proto__":{"x":1}}', /^__proto__ is unknown \(allowed: /],
        ['{"constructor":1}', /^constructor is unknown/],
      ])('refuses %s', async (payload, message) => {
        const { status, json } = await send(route, { payload });
        expect([status, json?.error.code, json?.error.reason]).toEqual([400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT']);
        expect(json?.detail).toMatch(message);
        expect(gateway.received).toEqual([]);
      });

      it('refuses bytes that are not UTF-8', async () => {
        const { status, json } = await send(route, { payload: Buffer.from([0x7b, 0xff, 0x7d]) });
        expect([status, json?.detail]).toEqual([400, 'the body is not UTF-8']);
      });

      it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'nonsense'])(
        'refuses a body of %s',
        async (type) => {
          const { status, json } = await send(route, { payload: '{}', headers: { 'content-type': type } });
          expect([status, json?.error.reason]).toEqual([415, 'INVALID_ARGUMENT']);
          expect(json?.detail).toBe(`content-type must be application/json, not ${type.split(';')[0]}`);
        },
      );

      it('refuses a body that is too large', async () => {
        const { status, json } = await send(route, { payload: `{"x":"${'y'.repeat(MAX_JSON_BYTES)}"}` });
        expect([status, json?.error.code, json?.error.reason]).toEqual([413, 'RESOURCE_EXHAUSTED', 'TOO_LARGE']);
        expect(json?.error.details).toEqual({ size_bytes: MAX_JSON_BYTES + 8, max_bytes: MAX_JSON_BYTES });
      });

      it('refuses every field of a wrong type, by its path', async () => {
        for (const field of route.descriptor.input.fields) {
          const { status, json } = await send(route, { payload: `{"${field.jsonName}":[[]]}` }); // fits nothing
          expect([status, json?.error.reason]).toEqual([400, 'INVALID_ARGUMENT']);
          expect(json?.detail).toContain(`${field.jsonName}`);
        }
      });
    } else {
      it('refuses a body', async () => {
        const { status, json } = await send(route, { payload: '{}' });
        expect([status, json?.detail]).toEqual([400, `${route.httpMethod} takes no body here`]);
      });
    }

    it('reaches its rpc with what the path says', async () => {
      const { status } = await send(route, route.hasBody ? { payload: '{}' } : {});
      expect(status).toBe(route.name === 'attachExecution' ? 204 : 200); // the streams here are empty
      const call = gateway.received[0];
      expect(call?.name).toBe(route.name);
      expect(call?.ctx.metadata['authorization']).toBe(AUTH.authorization);
      expect(call?.ctx.peer).toMatch(/^http /);
      if (route.variables.includes('ship_id')) expect(call?.request['shipId']).toBe('some-id');
    });
  });
});

describe('paths', () => {
  it.each(['/v1', '/v1/', '/v1/nothing', '/v1/ships/', '/v1/ships//executions', '/v1/Ships', '/v1/ships/x/files:fly'])(
    'answers 404 for %s',
    async (url) => {
      const response = await http.send(url, { headers: AUTH });
      expect([response.status, response.json<Answer>().error.code]).toEqual([404, 'UNIMPLEMENTED']);
    },
  );

  it('decodes variables, and never takes an encoded colon for a verb', async () => {
    const response = await http.send('/v1/ships/a%2Fb%3Astop%20%C3%A9', { headers: AUTH });
    expect(response.status).toBe(200);
    expect(gateway.received[0]).toMatchObject({ name: 'getShip', request: { shipId: 'a/b:stop é' } });
  });

  it.each(['PROPFIND', 'OPTIONS', 'PATCH'])('answers 405 for %s', async (method) => {
    const response = await http.send('/v1/server', { method, headers: AUTH });
    expect([response.status, response.headers.allow]).toEqual([405, 'GET']);
    expect((await http.send('/v1/server', { method })).status).toBe(403);
  });

  it.each(['/v1/ships/%zz', '/v1/ships/%ff'])('refuses %s', async (url) => {
    const response = await http.send(url, { headers: AUTH });
    expect([response.status, response.json<Answer>().detail]).toEqual([
      400,
      `not percent-encoded UTF-8 in the path: ${url.slice(-3)}`,
    ]);
    expect((await http.send(url)).status).toBe(403);
  });
});

describe('fields', () => {
  const post = async (url: string, body: object, headers: Record<string, string> = {}) =>
    http.send(url, {
      method: 'POST',
      headers: { ...AUTH, 'x-session-id': 's1', 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  it('take both spellings, and numbers of 64 bits as text', async () => {
    await post('/v1/ships/x/executions', { execution_id: 'e', timeoutMs: '9007199254740991', queue_timeout_ms: 5 });
    expect(gateway.received[0]?.request).toMatchObject({
      shipId: 'x',
      sessionId: 's1',
      executionId: 'e',
      timeoutMs: 9007199254740991,
      queueTimeoutMs: 5,
    });
  });

  it('make the very message that ts-proto makes', async () => {
    await post('/v1/ships/x/executions', {
      lifetime: 'NAMED',
      command: { argv: ['a'], env: { ['__proto__']: 'x', B: 'y' }, background: true },
    });
    const request: Record<string, unknown> = gateway.received[0]?.request ?? {};
    expect(request).toMatchObject({
      lifetime: 'LIFETIME_NAMED',
      executionId: '',
      work: { $case: 'command', value: { argv: ['a'], command: '', cwd: '', stdin: false, background: true } },
    });
    const { env } = (request['work'] as { value: { env: Record<string, string> } }).value;
    expect(Object.entries(env)).toEqual([
      ['__proto__', 'x'],
      ['B', 'y'],
    ]);
  });

  it('take null for nothing, and bytes in both alphabets of base64', async () => {
    await post('/v1/ships/x/executions/e:write', { offset: null, data: '-_8', eof: null });
    expect(gateway.received[0]?.request).toMatchObject({
      offset: undefined,
      data: Buffer.from([0xfb, 0xff]),
      eof: false,
    });
  });

  it.each<[object, string]>([
    [{ timeoutMs: 1.5 }, 'timeoutMs must be a whole number from -9007199254740991 to 9007199254740991, not 1.5'],
    [{ timeoutMs: 'abc' }, 'timeoutMs must be a whole number from -9007199254740991 to 9007199254740991, not "abc"'],
    [{ timeoutMs: '9007199254740993' }, 'timeoutMs must be a whole number from'],
    [{ timeoutMs: true }, 'timeoutMs must be a whole number from'],
    [
      { lifetime: 'FOREVER' },
      'lifetime must be one of LIFETIME_UNSPECIFIED, LIFETIME_NAMED, LIFETIME_CALL, not "FOREVER"',
    ],
    [{ lifetime: 1 }, 'lifetime must be one of'],
    [{ cell: 'print(1)' }, 'cell must be an object, not a string'],
    [{ cell: { code: 1 } }, 'cell.code must be a string, not a number'],
    [{ cell: { code: '\ud800' } }, 'cell.code must be Unicode text, and holds a lone surrogate'],
    [{ cell: { code: 'x', cod: 1 } }, 'cell.cod is unknown (allowed: code, silent, allowStdin, kernelGeneration)'],
    [{ cell: { silent: 'yes' } }, 'cell.silent must be true or false, not "yes"'],
    [{ cell: {}, command: {} }, 'command is one too many: give only one of cell, command, terminal'],
    [{ command: { argv: 'ls' } }, 'command.argv must be an array, not a string'],
    [{ command: { argv: ['ls', null] } }, 'command.argv[1] must be a string, not null'],
    [{ command: { env: { A: 1 } } }, 'command.env["A"] must be a string, not a number'],
    [{ command: { env: [] } }, 'command.env must be an object, not an array'],
    [
      { terminal: { size: { columns: -1 } } },
      'terminal.size.columns must be a whole number from 0 to 4294967295, not -1',
    ],
    [{ timeoutMs: 1, timeout_ms: 2 }, 'timeout_ms is given twice, in both spellings'],
    [{ shipId: 'other' }, 'shipId differs from the path'],
    [{ sessionId: 'other' }, 'sessionId differs from the header X-SESSION-ID'],
  ])('refuses %j', async (body, message) => {
    const response = await post('/v1/ships/x/executions', body);
    expect([response.status, response.json<Answer>().error.reason]).toEqual([400, 'INVALID_ARGUMENT']);
    expect(response.json<Answer>().detail).toContain(message);
  });

  it('tells everything that is wrong at once', async () => {
    const { detail, error } = (await post('/v1/ships/x/executions', { a: 1, timeoutMs: 'x' })).json<Answer>();
    expect(detail).toMatch(/a is unknown .*; timeoutMs must be/);
    expect(error.details.violations).toHaveLength(2);
    expect(error.details.violations?.[0]).toMatchObject({ in: 'body', field: 'a' });
  });

  it('binds the ship and the session of a nested message', async () => {
    await post('/v1/ships/x/executions:run', { start: { cell: { code: '1' } } });
    expect(gateway.received[0]).toMatchObject({
      name: 'runExecution',
      request: { start: { shipId: 'x', sessionId: 's1', work: { $case: 'cell' } } },
    });
  });

  it('come in the query, repeated where they are lists', async () => {
    const url = '/v1/ships?states=SHIP_STATE_RUNNING&states=STOPPED';
    await http.send(url, { headers: AUTH });
    expect(gateway.received[0]?.request).toEqual({ states: ['SHIP_STATE_RUNNING', 'SHIP_STATE_STOPPED'] });
  });

  it.each([
    ['?fromSequence=x', 'query parameter fromSequence must be a whole number'],
    ['?fromSequence=1&from_sequence=2', 'query parameter from_sequence is given more than once'],
    ['?strict=1', 'query parameter strict must be true or false, not "1"'],
    ['?strict', 'query parameter strict must be true or false, not ""'],
  ])('refuses %s', async (query, message) => {
    const headers = { ...AUTH, 'x-session-id': 's1' };
    const response = await http.send(`/v1/ships/x/executions/e/events${query}`, { headers });
    expect([response.status, response.json<Answer>().detail]).toEqual([400, expect.stringContaining(message)]);
  });
});

describe('a session', () => {
  const kernelOf = async (session: string | string[]) => {
    const response = await http.send('/v1/ships/x/kernel', { headers: { ...AUTH, 'x-session-id': session } });
    return response.status === 200 ? gateway.received[0]?.request['sessionId'] : response.json<Answer>().detail;
  };

  it.each([
    ['plain', 'plain'],
    ['', ''],
    ['a, b', 'a, b'],
    [Buffer.from('日本', 'utf8').toString('latin1'), '日本'],
    ['caf\u00e9', 'café'], // a client that sends Latin-1
  ])('is the text of its header: %j', async (header, session) => {
    expect(await kernelOf(header)).toBe(session);
  });

  it('is one', async () => {
    expect(await kernelOf(['a', 'b'])).toBe('header X-SESSION-ID is given more than once');
  });
});

describe('a body without a length', () => {
  it('is refused as soon as it is too large', async () => {
    const headers = {
      ...AUTH,
      'x-session-id': 's',
      'content-type': 'application/json',
      'transfer-encoding': 'chunked',
    };
    const body = `{"x":"${'y'.repeat(MAX_JSON_BYTES)}"}`;
    const response = await http.send('/v1/ships', { method: 'POST', headers, body });
    expect([response.status, response.json<Answer>().error.details]).toEqual([413, { max_bytes: MAX_JSON_BYTES }]);
  });
});

describe('answers', () => {
  it('have every scalar, messages only where set, and times as text', async () => {
    const own = await testGateway({
      bay: {
        getShip: async () => ({
          shipId: 'x',
          state: 'SHIP_STATE_RUNNING' as never,
          createTime: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
          updateTime: undefined,
          expireTime: undefined,
          ttlSeconds: 9007199254740991,
          maxSessionNum: 1,
          currentSessionNum: 0,
          incarnation: 3,
          driver: 'local',
          containerId: '',
          ipAddress: '',
          spec: { cpus: 0.5, memory: undefined },
          isolation: undefined,
          stateReason: '',
        }),
      },
    });
    const ownServer = await startHttpServer(own.deps);
    const ownHttp = new HttpClient(ownServer.port);
    const response = await ownHttp.send('/v1/ships/x', { headers: AUTH });
    ownHttp.close();
    await ownServer.stop({ drainMs: 0 });
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(response.json()).toEqual({
      shipId: 'x',
      state: 'SHIP_STATE_RUNNING',
      createTime: '2026-01-02T03:04:05.678Z',
      ttlSeconds: 9007199254740991,
      maxSessionNum: 1,
      currentSessionNum: 0,
      incarnation: 3,
      driver: 'local',
      containerId: '',
      ipAddress: '',
      spec: { cpus: 0.5 },
      stateReason: '',
    });
  });

  it.each<[StatusError | Error, number, string, Record<string, string>]>([
    [new StatusError('SHIP_NOT_FOUND', 'Ship not found'), 404, 'SHIP_NOT_FOUND', {}],
    [
      new StatusError('SHIP_LIMIT_REACHED', 'full', { details: { retry_after_seconds: 7 } }),
      429,
      'SHIP_LIMIT_REACHED',
      { 'retry-after': '7' },
    ],
    [new StatusError('DRIVER_UNAVAILABLE', 'gone'), 503, 'DRIVER_UNAVAILABLE', { 'retry-after': '1' }],
    [new StatusError('TOKEN_INVALID', 'Invalid access token'), 401, 'TOKEN_INVALID', { 'www-authenticate': 'Bearer' }],
    [new Error('/secret/path'), 500, 'INTERNAL', {}],
  ])('map %s', async (thrown, status, reason, headers) => {
    const own = await testGateway({ bay: { getShip: () => Promise.reject(thrown) } });
    const ownServer = await startHttpServer(own.deps);
    const ownHttp = new HttpClient(ownServer.port);
    const response = await ownHttp.send('/v1/ships/x', { headers: AUTH });
    ownHttp.close();
    await ownServer.stop({ drainMs: 0 });
    expect([response.status, response.json<Answer>().error.reason]).toEqual([status, reason]);
    expect(response.headers).toMatchObject(headers);
    expect(response.text).not.toContain('/secret/path');
  });
});
