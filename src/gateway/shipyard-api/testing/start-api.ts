/** The documented routes over a fake Shipyard, for tests. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import Fastify, { type FastifyInstance } from 'fastify';
import { StatusError } from '../../../../proto/rpc/status-error.js';
import { registerShipyardApi, repairUrl, type ShipyardApiConfig } from '../index.js';
import { FakeShipyard, SESSION, SHIP_ID } from './fake-shipyard.js';

export const TOKEN = 'the-token';
export const AUTH = { authorization: `Bearer ${TOKEN}` };
export const HEADERS = { ...AUTH, 'x-session-id': SESSION, 'content-type': 'application/json' };

export type Headers = Readonly<Record<string, string | string[]>>;

export interface RequestOptions {
  readonly headers?: Headers;
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** Of the text; undefined where it is no JSON. */
  readonly json: unknown;
}

export interface TestApi {
  readonly app: FastifyInstance;
  readonly shipyard: FakeShipyard;
  /** Facts of errors that were logged. */
  readonly logged: object[];
  readonly port: number;
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** @param body text as it is, everything else as JSON */
  post(path: string, body: unknown, headers?: Headers): Promise<Answer>;
  exec(type: string, payload?: unknown): Promise<Answer>;
  close(): Promise<void>;
}

export async function startApi(config: Partial<ShipyardApiConfig> = {}): Promise<TestApi> {
  const app = Fastify({ rewriteUrl: (request) => repairUrl(request.url ?? '/'), forceCloseConnections: true });
  const shipyard = new FakeShipyard();
  const logged: object[] = [];
  await registerShipyardApi(app, {
    bay: shipyard.bay,
    executions: shipyard.executions,
    files: shipyard.files,
    authorize: (header) => {
      if (header?.slice(header.indexOf(' ') + 1) !== TOKEN) throw new StatusError('TOKEN_INVALID', 'wrong token');
    },
    config: { maxUploadBytes: 1000, version: '1.2.3', ...config },
    log: { warn: (facts) => logged.push(facts), error: (facts) => logged.push(facts) },
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const request = (method: string, path: string, options: RequestOptions = {}) => send(port, method, path, options);
  const post = (path: string, body: unknown, headers: Headers = HEADERS) =>
    request('POST', path, { headers, body: typeof body === 'string' ? body : JSON.stringify(body) });
  return {
    app,
    shipyard,
    logged,
    port,
    request,
    post,
    exec: (type, payload) => post(`/ship/${SHIP_ID}/exec`, { type, payload }),
    close: () => app.close(),
  };
}

/** Over a socket of its own: what is tested is what a client sees. */
function send(port: number, method: string, path: string, { headers, body }: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers: { ...headers }, agent: false });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, text, json: parse(text) });
      });
    });
    request.end(body === undefined ? undefined : Buffer.from(body as string)); // text would change the headers' encoding
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
