import { once } from 'node:events';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHttpServer, type HttpServer, type HttpServerDeps } from './http-server.js';
import { Metrics } from '../telemetry/metrics.js';
import { HttpClient } from './testing/http-client.js';
import { AUTH, testGateway } from './testing/test-gateway.js';

let server: HttpServer | undefined;
let http: HttpClient;
afterEach(async () => {
  http?.close();
  await server?.stop({ drainMs: 0 });
  server = undefined;
});

async function serve(options: Partial<HttpServerDeps> = {}): Promise<HttpServer> {
  const { deps } = await testGateway({}, options);
  server = await startHttpServer(deps);
  http = new HttpClient(server.port);
  return server;
}

describe('the HTTP server', () => {
  it('names the port and its variable where the port is taken', async () => {
    const { port } = await serve();
    const { deps } = await testGateway({}, { port });
    await expect(startHttpServer(deps)).rejects.toThrow(`port ${port} on 127.0.0.1 is in use: set PORT to a free one`);
  });

  it('says that it runs, and whether it can serve', async () => {
    const bay: { problem?: string } = {};
    await serve({ ready: async () => bay.problem });
    expect((await http.send('/health')).json()).toEqual({ status: 'ok', message: 'Bay service is running' });
    expect((await http.send('/ready')).json()).toEqual({ status: 'ready' });
    bay.problem = 'the engine does not answer';
    const answer = await http.send('/ready');
    expect([answer.status, answer.json()]).toEqual([503, { status: 'not ready', detail: bay.problem }]);
  });

  it('tells its metrics to whoever has the token, and to nobody else', async () => {
    const metrics = new Metrics();
    metrics.shipStarted('local', { start: 120 });
    await serve({ metrics });
    expect((await http.send('/metrics')).status).toBe(403);
    const answer = await http.send('/metrics', { headers: AUTH });
    expect(answer.headers['content-type']).toContain('text/plain');
    expect(answer.text).toContain('shipyard_ship_start_seconds_count{driver="local",phase="start"} 1');
  });

  it.each([
    ['GET', '/nothing', 404, 'Not Found'],
    ['POST', '/docs', 405, 'Method Not Allowed'],
    ['HEAD', '/docs', 405, ''],
    ['GET', '/docs/..%2fpackage.json', 404, 'Not Found'],
  ])('answers %s %s with %i', async (method, path, status, detail) => {
    await serve();
    const answer = await http.send(path, { method });
    expect(answer.status).toBe(status);
    if (detail) expect(answer.json()).toMatchObject({ detail });
  });

  it('redirects where only a slash is too much', async () => {
    await serve();
    const answer = await http.send('/docs/?x=1');
    expect([answer.status, answer.headers.location]).toEqual([307, '/docs?x=1']);
  });

  it('leaves the documented routes their own rules', async () => {
    await serve({
      documented: {
        paths: { '/ship': {} },
        rewriteUrl: (url) => url.replace('%zz', 'repaired'),
        register(app) {
          app.setErrorHandler((_error, _request, reply) => reply.code(418).send({ detail: 'mine' }));
          app.get('/health', async () => ({ mine: true }));
          app.get('/ship/:id', async (request) => request.params);
          app.post('/ship', async () => {
            throw new Error('x');
          });
        },
      },
    });
    expect((await http.send('/health')).json()).toEqual({ mine: true });
    expect((await http.send('/ship/%zz')).json()).toEqual({ id: 'repaired' });
    expect((await http.send('/ship', { method: 'POST' })).status).toBe(418);
    expect((await http.send('/v1/ships/%zz', { headers: AUTH })).status).toBe(400);
  });

  it.each([
    ['GET / HTTP/1.1\r\nhost x\r\n\r\n', 400],
    ['nonsense\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, 431],
  ])('answers what is no request with JSON all the same', async (text, status) => {
    const { port } = await serve();
    const socket = connect(port, '127.0.0.1');
    socket.write(text);
    let answer = '';
    for await (const piece of socket) answer += String(piece);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({
      error: { reason: 'INVALID_ARGUMENT' },
    });
  });

  it('speaks TLS where it is given a certificate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-tls-'));
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const names = ['-subj', '/CN=localhost', '-days', '1', '-keyout', keyFile, '-out', certFile];
    execFileSync('openssl', ['req', '-x509', '-nodes', ...curve, ...names], { stdio: 'ignore' });
    const { port } = await serve({ tls: { certFile, keyFile } });
    const sent = httpsRequest({ host: '127.0.0.1', port, path: '/health', rejectUnauthorized: false }).end();
    const [response] = (await once(sent, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(200);
    sent.destroy();
    rmSync(folder, { recursive: true });
  });

  it('names the variable of a certificate that cannot be read', async () => {
    const { deps } = await testGateway({}, { tls: { certFile: '/nowhere/cert', keyFile: '/nowhere/key' } });
    await expect(startHttpServer(deps)).rejects.toThrow(/^TLS_CERT_FILE: \/nowhere\/cert cannot be read/);
  });
});

describe('pages of other origins', () => {
  const preflight = (origin: string) =>
    http.send('/v1/ships', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-session-id',
      },
    });

  it('are kept out by default', async () => {
    await serve();
    const answer = await preflight('https://a.example');
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    expect(answer.status).toBe(403);
  });

  it('are let in by name, and may bring credentials', async () => {
    await serve({ corsOrigins: ['https://a.example'] });
    const answer = await preflight('https://a.example');
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'authorization,x-session-id',
      'access-control-allow-methods': 'GET, POST, PUT, DELETE',
      vary: 'Origin',
    });
    expect((await preflight('https://b.example')).headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('are all let in by *, but never with credentials', async () => {
    await serve({ corsOrigins: ['*'] });
    const { headers } = await http.send('/v1/ships', { headers: { ...AUTH, origin: 'https://b.example' } });
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers).not.toHaveProperty('access-control-allow-credentials');
  });

  it('are told so in streams too', async () => {
    await serve({ corsOrigins: ['*'] });
    const headers = { ...AUTH, 'x-session-id': 's', origin: 'https://b.example' };
    const answer = await http.send('/v1/ships/x/logs', { headers });
    expect(answer.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'access-control-allow-origin': '*',
    });
  });
});
