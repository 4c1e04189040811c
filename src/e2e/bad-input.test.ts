/**
 * Malformed requests for every rpc over gRPC, mux and /v1, made from the service definitions so that a new rpc cannot be
 * left out: the answer is the exact reason, never an internal error, and the next good request works.
 */
import { BayServiceDefinition } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Transport } from '../../proto/rpc/client.js';
import { openGrpcChannel } from '../../proto/rpc/grpc-client.js';
import { dialMux } from '../../proto/rpc/mux/mux-grpc.js';
import { toService, type Method } from '../../proto/rpc/service.js';
import { isStatusError } from '../../proto/rpc/status-error.js';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { v1Http } from './ways/v1-http.js';

const METHODS = [BayServiceDefinition, ExecutionServiceDefinition, FileServiceDefinition].flatMap(
  (definition) => toService(definition).methods,
);
const OF_A_SHIP = METHODS.filter((method) => !['CreateShip', 'ListShips', 'GetServerInfo'].includes(method.name));
const OF_A_SESSION = OF_A_SHIP.filter((method) => !method.service.endsWith('BayService'));
const NOBODY = '00000000-0000-4000-8000-000000000000';

let bay: OwnBay;
let shipId: string;
const transports = new Map<string, Transport>();
const closers: (() => void)[] = [];

beforeAll(async () => {
  bay = await startOwnBay();
  shipId = await v1Http(bay).createShip('good');
  const channel = openGrpcChannel(`127.0.0.1:${bay.grpcPort}`, { metadata: { authorization: `Bearer ${bay.token}` } });
  const link = await dialMux(`127.0.0.1:${bay.grpcPort}`, { token: bay.token, signal: AbortSignal.timeout(10_000) });
  transports.set('gRPC', channel).set('mux', link.connection);
  closers.push(
    () => channel.close(),
    () => link.connection.close(),
  );
}, 60_000);
afterAll(async () => {
  for (const close of closers) close();
  await bay?.stop();
}, 30_000);
afterEach(async () => {
  expect((await v1Http(bay).in(shipId, 'good').runCell('6 * 7')).text).toBe('42');
});

/** A request whose every name is filled the same way, wherever in the message it stands. */
function request(method: Method, names: { shipId: string; sessionId: string; executionId?: string }): object {
  const inner = {
    ...names,
    executionId: names.executionId ?? 'none',
    path: 'none.txt',
    newPath: 'other.txt',
    ttlSeconds: 60,
    signal: 'SIGTERM',
    requestSequence: 1,
    size: { columns: 80, rows: 24 },
    oldString: 'a',
    newString: 'b',
    data: Buffer.alloc(0),
    env: {},
  };
  const work = {
    $case: 'command',
    value: { command: 'true', argv: [], cwd: '', env: {}, stdin: false, background: false },
  };
  const base = method.requestType.fromJSON({}) as object;
  if (method.name === 'RunExecution')
    return { ...base, start: { ...inner, lifetime: 'LIFETIME_UNSPECIFIED', timeoutMs: 0, queueTimeoutMs: 0, work } };
  if (method.name === 'Upload')
    return { part: { $case: 'header', value: { ...inner, mode: undefined, sizeBytes: undefined } } };
  return { ...base, ...inner, ...(method.name === 'StartExecution' ? { work } : {}) };
}

async function reasonOf(transport: Transport, method: Method, message: object): Promise<string> {
  try {
    const sent = method.requestStream
      ? (async function* () {
          yield message;
        })()
      : message;
    if (method.responseStream) for await (const _ of transport.stream(method, sent)) break;
    else await transport.unary(method, sent);
    return 'OK';
  } catch (error) {
    return isStatusError(error) ? error.reason : String(error);
  }
}

describe.each(['gRPC', 'mux'])('over %s', (name) => {
  const transport = () => transports.get(name) as Transport;
  const methods = (all: Method[]) =>
    all.filter((method) => name === 'gRPC' || !['Upload', 'Download'].includes(method.name));

  it.each(methods(OF_A_SHIP).map((method) => [method.name, method] as const))(
    '%s of a ship that is not there',
    async (_, method) => {
      expect(await reasonOf(transport(), method, request(method, { shipId: NOBODY, sessionId: 'good' }))).toBe(
        'SHIP_NOT_FOUND',
      );
    },
  );

  it.each(methods(OF_A_SESSION).map((method) => [method.name, method] as const))(
    '%s of a session without a right to the ship',
    async (_, method) => {
      expect(await reasonOf(transport(), method, request(method, { shipId, sessionId: 'somebody else' }))).toBe(
        'SESSION_NOT_BOUND',
      );
    },
  );

  it.each(methods(OF_A_SHIP).map((method) => [method.name, method] as const))(
    '%s of an empty request',
    async (_, method) => {
      const empty = method.name === 'Upload' ? { part: undefined } : (method.requestType.fromJSON({}) as object);
      // An empty id names no ship; everything else that is missing is said by name.
      const namesOnlyAShip = method.service.endsWith('BayService') && method.name !== 'ExtendTtl';
      expect(await reasonOf(transport(), method, empty)).toBe(namesOnlyAShip ? 'SHIP_NOT_FOUND' : 'INVALID_ARGUMENT');
    },
  );

  it.each([
    ['a mode with more than permissions', 'WriteText', { path: 'f', content: '', mode: 0o1777 }, 'INVALID_ARGUMENT'],
    ['a mode that permits nothing', 'WriteText', { path: 'f', content: '', mode: 0 }, 'INVALID_ARGUMENT'],
    ['an execution that is not there', 'GetExecution', { executionId: 'none' }, 'EXECUTION_NOT_FOUND'],
    [
      'an execution id out of its grammar',
      'StartExecution',
      {
        executionId: 'a/b',
        work: {
          $case: 'command',
          value: { command: 'true', argv: [], cwd: '', env: {}, stdin: false, background: false },
        },
      },
      'INVALID_ARGUMENT',
    ],
    [
      'the reserved execution id',
      'StartExecution',
      {
        executionId: 'background',
        work: {
          $case: 'command',
          value: { command: 'true', argv: [], cwd: '', env: {}, stdin: false, background: false },
        },
      },
      'INVALID_ARGUMENT',
    ],
    ['work that is missing', 'StartExecution', { executionId: 'w-1', work: undefined }, 'INVALID_ARGUMENT'],
    [
      'a negative deadline',
      'StartExecution',
      {
        executionId: 'w-2',
        timeoutMs: -1,
        work: {
          $case: 'command',
          value: { command: 'true', argv: [], cwd: '', env: {}, stdin: false, background: false },
        },
      },
      'INVALID_ARGUMENT',
    ],
    [
      'a command and argv at once',
      'StartExecution',
      {
        executionId: 'w-3',
        work: {
          $case: 'command',
          value: { command: 'true', argv: ['true'], cwd: '', env: {}, stdin: false, background: false },
        },
      },
      'INVALID_ARGUMENT',
    ],
    [
      'a terminal of no size',
      'StartExecution',
      {
        executionId: 'w-4',
        work: {
          $case: 'terminal',
          value: { command: 'true', argv: [], cwd: '', env: {}, size: { columns: 0, rows: 5000 }, term: '' },
        },
      },
      'INVALID_ARGUMENT',
    ],
    [
      'a kernel generation that is gone',
      'StartExecution',
      {
        executionId: 'w-5',
        work: { $case: 'cell', value: { code: '1', silent: false, allowStdin: false, kernelGeneration: 99 } },
      },
      'KERNEL_STATE_LOST',
    ],
    ['a cursor of a negative number', 'AttachExecution', { executionId: 'none', fromSequence: -1 }, 'INVALID_ARGUMENT'],
    ['a signal of no such name', 'SignalExecution', { executionId: 'none', signal: 'SIGNONE' }, 'INVALID_ARGUMENT'],
    ['a path with NUL', 'ReadText', { path: 'a\0b' }, 'FILE_OPERATION_FAILED'],
    ['a path out of the workspace', 'ReadText', { path: '../../etc/passwd' }, 'PATH_OUTSIDE_WORKSPACE'],
    ['an absolute path', 'WriteText', { path: '/etc/passwd', content: 'x' }, 'PATH_OUTSIDE_WORKSPACE'],
    [
      'an encoding of no such name',
      'WriteText',
      { path: 'x.txt', content: 'x', encoding: 'no-such' },
      'ENCODING_FAILED',
    ],
    ['the workspace itself', 'DeleteFile', { path: '.' }, 'PATH_WRONG_KIND'],
    ['a ttl of nothing', 'CreateShip', { sessionId: 'x', ttlSeconds: 0 }, 'INVALID_ARGUMENT'],
    [
      'memory in no such unit',
      'CreateShip',
      { sessionId: 'x', ttlSeconds: 60, spec: { cpus: 1, memory: '1.5 gib' } },
      'INVALID_ARGUMENT',
    ],
    [
      'cpus of less than nothing',
      'CreateShip',
      { sessionId: 'x', ttlSeconds: 60, spec: { cpus: -1, memory: '512m' } },
      'INVALID_ARGUMENT',
    ],
  ])('%s (%s)', async (_, rpc, fields, reason) => {
    const method = METHODS.find((candidate) => candidate.name === rpc) as Method;
    const base = request(method, { shipId, sessionId: 'good' });
    expect(await reasonOf(transport(), method, { ...base, ...fields })).toBe(reason);
  });

  it('a path through a link that changes under the call never leads out', async () => {
    const way = v1Http(bay).in(shipId, 'good');
    const racing = way.runCommand(
      'mkdir -p in; echo inside > in/hostname; for i in $(seq 300); do ln -sfn in link; ln -sfn /etc link; done',
      { timeoutSeconds: 30 },
    );
    const read = METHODS.find((candidate) => candidate.name === 'ReadText') as Method;
    for (let i = 0; i < 60; i++) {
      const reason = await transport()
        .unary(read, { ...request(read, { shipId, sessionId: 'good' }), path: 'link/hostname' })
        .then(
          (answer) => (answer as { content: string }).content,
          (error: unknown) => (isStatusError(error) ? error.reason : String(error)),
        );
      expect(['inside\n', 'PATH_OUTSIDE_WORKSPACE', 'FILE_NOT_FOUND', 'FILE_OPERATION_FAILED']).toContain(reason);
    }
    await racing;
  }, 60_000);
});

describe('over HTTP /v1', () => {
  const call = (method: string, path: string, init: { body?: string; headers?: Record<string, string> } = {}) =>
    fetch(bay.url + path, {
      method,
      headers: {
        authorization: `Bearer ${bay.token}`,
        'x-session-id': 'good',
        'content-type': 'application/json',
        ...init.headers,
      },
      body: init.body ?? null,
    });
  const routes = METHODS.flatMap((method) =>
    method.http.map((binding) => ({ name: `${binding.verb} ${binding.path}`, method, binding })),
  );
  const concrete = (path: string, ship: string) =>
    path.replace('{start.ship_id}', ship).replace('{ship_id}', ship).replace('{execution_id}', 'none');

  it.each(routes.map((route) => [route.name, route] as const))(
    '%s without a token, and with a wrong one',
    async (_, { binding }) => {
      for (const [authorization, status, reason] of [
        ['', 403, 'TOKEN_MISSING'],
        ['Bearer wrong', 401, 'TOKEN_INVALID'],
      ] as const) {
        const response = await call(binding.verb, concrete(binding.path, shipId), {
          headers: { authorization },
          ...(binding.body ? { body: '{}' } : {}),
        });
        expect([response.status, ((await response.json()) as { error: { reason: string } }).error.reason]).toEqual([
          status,
          reason,
        ]);
      }
    },
  );

  it.each(routes.filter(({ binding }) => binding.body).map((route) => [route.name, route] as const))(
    '%s with a body that is not what it takes',
    async (_, { binding }) => {
      for (const body of [
        '{',
        '[]',
        '"text"',
        '{"noSuchField": 1}',
        '{"ttlSeconds": "abc", "executionId": 5, "path": []}',
      ]) {
        const response = await call(binding.verb, concrete(binding.path, shipId), { body });
        const { error } = (await response.json()) as { error: { reason: string; message: string } };
        expect([body, response.status, error.reason]).toEqual([body, 400, 'INVALID_ARGUMENT']);
        expect(error.message.length).toBeGreaterThan(5);
      }
    },
  );

  it.each([
    ['GET', '/v1/none', 404],
    ['PATCH', '/v1/ships', 405],
    ['GET', '/v1/ships/%00', 404],
    ['GET', `/v1/ships/${NOBODY}`, 404],
    ['GET', '/v1/ships?states=NO_SUCH_STATE', 400],
    ['GET', '/v1/ships?noSuchField=1', 400],
  ])('%s %s is %i', async (method, path, status) => {
    const response = await call(method, path);
    expect(response.status).toBe(status);
    expect(((await response.json()) as { detail: string }).detail.length).toBeGreaterThan(0);
  });
});

describe('the session id', () => {
  const ships = async () => {
    const { ships } = (await transports.get('gRPC')?.unary(method('ListShips'), { states: [] })) as { ships: object[] };
    return ships.length;
  };

  it.each([
    ['missing', ''],
    ['too long', 'x'.repeat(1025)],
    ['no text', 'a\0b'],
    ['no UTF-8', '\ufffd\ufffd'],
  ])('is refused before a ship is made for it where it is %s', async (_, sessionId) => {
    const before = await ships();
    const message = { sessionId, spec: undefined };
    expect(await reasonOf(transports.get('gRPC') as Transport, method('CreateShip'), message)).toBe('INVALID_ARGUMENT');
    expect(await ships()).toBe(before);
  });

  it('may be empty on the documented routes', async () => {
    const post = async (path: string, body: object) => {
      const headers = { authorization: `Bearer ${bay.token}`, 'content-type': 'application/json', 'x-session-id': '' };
      const answer = await fetch(`${bay.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
    };
    const ship = await post('/ship', { ttl: 60 });
    expect(ship.status).toBe(201);
    const cell = await post(`/ship/${String(ship.json.id)}/exec`, { type: 'ipython/exec', payload: { code: '6 * 7' } });
    expect(cell.json).toMatchObject({ success: true, data: { output: { text: '42' }, kernel_id: '' } });
    await v1Http(bay).deleteShip(String(ship.json.id));
  });
});

function method(name: string): Method {
  return METHODS.find((each) => each.name === name) as Method;
}
