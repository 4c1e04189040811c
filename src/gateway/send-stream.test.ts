import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { StatusError } from '../../proto/rpc/status-error.js';
import { startHttpServer, type HttpServer } from './http-server.js';
import { HttpClient } from './testing/http-client.js';
import { AUTH, encodedEvent, endedEvent, stdoutEvent, testGateway, type TestServices } from './testing/test-gateway.js';

const HEADERS = { ...AUTH, 'x-session-id': 's1' };
const JSON_HEADERS = { ...HEADERS, 'content-type': 'application/json' };
const EVENTS = '/v1/ships/x/executions/e/events';

let server: HttpServer | undefined;
let http: HttpClient;
afterEach(async () => {
  http.close();
  await server?.stop({ drainMs: 0 });
});

async function serve(services: TestServices): Promise<void> {
  const { deps } = await testGateway(services);
  server = await startHttpServer(deps);
  http = new HttpClient(server.port);
}

const lines = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('a stream of events', () => {
  it('comes as lines of JSON', async () => {
    await serve({
      executions: {
        async *startExecution() {
          yield encodedEvent(1, { $case: 'queued', value: { ahead: 0, createTime: new Date(0) } });
          yield stdoutEvent(2, 'line\n"ö"\u2028');
          yield encodedEvent(3, { $case: 'stderr', value: { content: { $case: 'data', value: Buffer.from([0xff]) } } });
          yield endedEvent(4);
        },
      },
    });
    const answer = await http.send('/v1/ships/x/executions', { method: 'POST', headers: JSON_HEADERS, body: '{}' });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    expect(lines(answer.text)).toEqual([
      { sequence: 1, elapsedUs: 10, queued: { ahead: 0, createTime: '1970-01-01T00:00:00.000Z' } },
      { sequence: 2, elapsedUs: 20, stdout: { text: 'line\n"ö"\u2028' } },
      { sequence: 3, elapsedUs: 30, stderr: { data: '/w==' } },
      {
        sequence: 4,
        elapsedUs: 0,
        ended: {
          exited: { code: 0 },
          cause: 'CAUSE_NONE',
          statePreserved: false,
          detachedOutput: false,
          executionCount: 0,
        },
      },
    ]);
  });

  it('comes as server-sent events where the client accepts them', async () => {
    await serve({
      executions: {
        async *attachExecution() {
          yield stdoutEvent(7, 'a\nb');
          yield endedEvent(8);
        },
      },
    });
    const headers = { ...HEADERS, accept: 'application/json;q=0.5, text/event-stream' };
    const answer = await http.send(EVENTS, { headers });
    expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    const [first, second] = answer.text.split('\n\n');
    expect(first).toBe('id: 7\nevent: stdout\ndata: {"sequence":7,"elapsedUs":70,"stdout":{"text":"a\\nb"}}');
    expect(second).toMatch(/^id: 8\nevent: ended\ndata: \{/);
  });

  it('keeps its numbers in order while it is gathered into few writes', async () => {
    const count = 5000;
    await serve({
      executions: {
        async *attachExecution() {
          for (let sequence = 1; sequence < count; sequence++) yield stdoutEvent(sequence, 'x'.repeat(100));
          yield endedEvent(count);
        },
      },
    });
    const response = await http.open(EVENTS, { headers: HEADERS });
    let pieces = 0;
    let text = '';
    response.setEncoding('utf8');
    for await (const piece of response) {
      pieces++;
      text += String(piece);
    }
    expect(lines(text).map(({ sequence }) => sequence)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    expect(pieces).toBeLessThan(count / 10);
  });

  it('is answered with a status of its own where it fails before its first event', async () => {
    await serve({
      executions: {
        async *attachExecution() {
          throw new StatusError('EXECUTION_NOT_FOUND', 'no execution e');
        },
      },
    });
    const answer = await http.send(EVENTS, { headers: HEADERS });
    expect([answer.status, answer.json<{ detail: string }>().detail]).toEqual([404, 'no execution e']);
  });

  it.each([
    ['application/x-ndjson', (text: string) => lines(text).pop()],
    [
      'text/event-stream',
      (text: string) => JSON.parse(/event: error\ndata: (.*)\n\n$/.exec(text)?.[1] ?? 'null') as unknown,
    ],
  ])('ends with the failure that came within it, as %s', async (accept, last) => {
    await serve({
      executions: {
        async *attachExecution() {
          yield stdoutEvent(1, 'a');
          throw new StatusError('SHIP_UNREACHABLE', 'gone', { details: { seconds: 10 } });
        },
      },
    });
    const answer = await http.send(EVENTS, { headers: { ...HEADERS, accept } });
    expect(answer.status).toBe(200);
    const details = { seconds: 10 };
    expect(last(answer.text)).toEqual({
      error: { code: 'UNAVAILABLE', status: 503, reason: 'SHIP_UNREACHABLE', message: 'gone', details },
    });
  });

  it('says so where it stops without an end', async () => {
    await serve({
      executions: {
        async *attachExecution() {
          yield stdoutEvent(1, 'a');
        },
      },
    });
    const answer = await http.send(EVENTS, { headers: HEADERS });
    expect(lines(answer.text).pop()).toMatchObject({ error: { reason: 'INTERNAL' } });
  });
});

describe('coming back', () => {
  const asked: object[] = [];
  const started: object[] = [];
  beforeEach(async () => {
    asked.length = started.length = 0;
    await serve({
      executions: {
        async *startExecution(request) {
          started.push(request);
          yield endedEvent(1);
        },
        async *attachExecution(request) {
          asked.push(request);
          if (request.fromSequence <= 5) yield endedEvent(5);
        },
      },
    });
  });

  it('goes on behind Last-Event-ID, whatever the URL says', async () => {
    const headers = { ...HEADERS, accept: 'text/event-stream', 'last-event-id': '4' };
    const answer = await http.send(`${EVENTS}?from_sequence=1&strict=true`, { headers });
    expect(answer.text).toMatch(/^id: 5\n/);
    const expected = { shipId: 'x', sessionId: 's1', executionId: 'e', fromSequence: 5, strict: true };
    expect(asked).toEqual([expected]);
  });

  it.each(['text/event-stream', 'application/x-ndjson'])('is 204 beyond the end, as %s', async (accept) => {
    const answer = await http.send(EVENTS, { headers: { ...HEADERS, accept, 'last-event-id': '5' } });
    expect([answer.status, answer.text]).toEqual([204, '']);
  });

  it('attaches instead of starting where the start was cut', async () => {
    const headers = { ...JSON_HEADERS, 'last-event-id': '2' };
    const body = '{"executionId":"mine","cell":{"code":"1"}}';
    const answer = await http.send('/v1/ships/x/executions', { method: 'POST', headers, body });
    expect(answer.status).toBe(200);
    expect(started).toEqual([]);
    expect(asked).toEqual([{ shipId: 'x', sessionId: 's1', executionId: 'mine', fromSequence: 3, strict: false }]);
  });

  it('is refused for a start that nobody can name', async () => {
    const headers = { ...JSON_HEADERS, 'last-event-id': '2' };
    const answer = await http.send('/v1/ships/x/executions', { method: 'POST', headers, body: '{}' });
    expect(answer.status).toBe(400);
    expect(answer.json<{ detail: string }>().detail).toMatch(/give its executionId/);
    expect([started, asked]).toEqual([[], []]);
  });

  it.each(['x', '-1', '1.5', '99999999999999999'])('refuses Last-Event-ID: %s', async (id) => {
    const answer = await http.send(EVENTS, { headers: { ...HEADERS, 'last-event-id': id } });
    expect([answer.status, answer.json<{ detail: string }>().detail]).toEqual([
      400,
      `header Last-Event-ID must be a sequence number, not ${id}`,
    ]);
  });
});

describe('a reader', () => {
  it('that leaves aborts the call', async () => {
    let reason: unknown;
    const aborted = new Promise<void>((resolve) => {
      void serve({
        executions: {
          async *startExecution(_request, ctx) {
            yield stdoutEvent(1, 'a');
            await once(ctx.signal, 'abort');
            reason = ctx.signal.reason;
            resolve();
          },
        },
      }).then(async () => {
        const response = await http.open('/v1/ships/x/executions', {
          method: 'POST',
          headers: JSON_HEADERS,
          body: '{}',
        });
        await once(response, 'data');
        response.destroy();
      });
    });
    await aborted;
    expect(reason).toMatchObject({ name: 'StatusError', reason: 'CANCELLED' });
  });

  it('that leaves before the first event aborts the call', async () => {
    let entered: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (entered = resolve));
    let left: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => (left = resolve));
    await serve({
      executions: {
        async *attachExecution(_request, ctx) {
          entered();
          await once(ctx.signal, 'abort');
          left();
        },
      },
    });
    const socket = connect(server?.port ?? 0, '127.0.0.1');
    const head = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${EVENTS} HTTP/1.1\r\nhost: x\r\n${head.join('')}\r\n`);
    await begun;
    socket.destroy();
    await gone;
  });

  it('that is slow holds the source back', async () => {
    const text = 'x'.repeat(64 * 1024);
    let made = 0;
    await serve({
      executions: {
        async *attachExecution() {
          for (made = 1; made <= 2000; made++) yield stdoutEvent(made, text);
          yield endedEvent(made);
        },
      },
    });
    const response = await http.open(EVENTS, { headers: HEADERS });
    response.pause();
    // Until the system's buffers are full, the source runs; then it stands still.
    let before = -1;
    while (before !== made) {
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(made).toBeLessThan(1000); // 64 MB would be in memory
    const last = await readLast(response);
    expect(last).toMatchObject({ sequence: 2001, ended: {} });
  });

  it('is told every so often that the connection lives, and gets its head though nothing happens', async () => {
    const { deps } = await testGateway({
      executions: {
        async *attachExecution(_request, ctx) {
          yield await new Promise<Uint8Array>((resolve) => {
            const timer = setTimeout(() => resolve(endedEvent(1)), 3000);
            ctx.signal.addEventListener('abort', () => clearTimeout(timer));
          });
        },
      },
    });
    server = await startHttpServer({ ...deps, streamTiming: { keepAliveMs: 50, headAfterMs: 20 } });
    http = new HttpClient(server.port);
    const response = await http.open(EVENTS, { headers: { ...HEADERS, accept: 'text/event-stream' } });
    expect(response.statusCode).toBe(200);
    const [piece] = (await once(response, 'data')) as [Buffer];
    expect(piece.toString()).toBe(':\n\n');
    response.destroy();
  });
});

async function readLast(response: IncomingMessage): Promise<unknown> {
  let tail = '';
  response.setEncoding('utf8');
  for await (const piece of response) tail = (tail + String(piece)).slice(-200_000);
  return lines(tail.slice(tail.lastIndexOf('\n', tail.length - 2) + 1)).pop();
}

describe('the end of the server', () => {
  it('tells readers to attach elsewhere, and lets other calls end', async () => {
    let finish: () => void = () => undefined;
    await serve({
      executions: {
        async *attachExecution(_request, ctx) {
          yield stdoutEvent(1, 'a');
          await once(ctx.signal, 'abort');
          throw ctx.signal.reason;
        },
        async *startExecution() {
          yield stdoutEvent(1, 'a');
          await new Promise<void>((resolve) => (finish = resolve));
          yield endedEvent(2);
        },
      },
    });
    const reader = await http.open(EVENTS, { headers: HEADERS });
    const work = await http.open('/v1/ships/x/executions', { method: 'POST', headers: JSON_HEADERS, body: '{}' });
    await Promise.all([once(reader, 'readable'), once(work, 'readable')]);

    const stopped = server?.stop({ drainMs: 10_000 });
    expect(await readLast(reader)).toMatchObject({ error: { reason: 'SHUTTING_DOWN', status: 503 } });
    finish();
    expect(await readLast(work)).toMatchObject({ sequence: 2, ended: {} });
    await stopped;
    server = undefined;
  });

  it('cuts what is still there when the drain is over, and says why', async () => {
    await serve({
      executions: {
        async *startExecution(_request, ctx) {
          yield stdoutEvent(1, 'a');
          await once(ctx.signal, 'abort');
          throw ctx.signal.reason;
        },
      },
    });
    const work = await http.open('/v1/ships/x/executions', { method: 'POST', headers: JSON_HEADERS, body: '{}' });
    await once(work, 'readable');
    const stopped = server?.stop({ drainMs: 50 });
    expect(await readLast(work)).toMatchObject({ error: { reason: 'SHUTTING_DOWN' } });
    await stopped;
    server = undefined;
  });
});
