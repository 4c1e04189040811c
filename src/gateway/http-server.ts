import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import Fastify, { LogController, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { BayServiceDefinition } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Client } from '../../proto/rpc/definition.js';
import { isStatusError, StatusError } from '../../proto/rpc/status-error.js';
import { openCallsOf } from './call.js';
import { answerClientError } from './client-error.js';
import { registerCors } from './cors.js';
import type { Descriptors } from './descriptors.js';
import { registerDocs } from './docs.js';
import { toFastifyLog, type GatewayLog } from './fastify-log.js';
import { addFileRoutes } from './files/file-routes.js';
import { HttpOnlyError, sendError } from './http-error.js';
import { buildOpenApi, type OpenApiDocument } from './openapi.js';
import { allowBody, deferContinue, isAwaitingContinue, lingerOnUnreadBody } from './request-body.js';
import { RouteTable } from './route-table.js';
import { routesOf, type RpcRoute } from './rpc-route.js';
import type { StreamTiming } from './send-stream.js';
import {
  addRpcRoutes,
  isV1,
  registerV1,
  v1Answer,
  type AnyClient,
  type V1Answer,
  type V1Handler,
} from './transcode.js';

/** A JSON body holds at most 8 MiB of code or 16 MiB of text, and the escapes that they need. */
const DEFAULT_MAX_JSON_BYTES = 20 * 1024 * 1024;
/** Longer than the minute after which usual proxies drop an idle connection, so that they do it and not we. */
const KEEP_ALIVE_MS = 72_000;
const TCP_KEEP_ALIVE_MS = 30_000;
/** What a request's and an answer's stream hold; one piece of a file. */
const STREAM_BYTES = 256 * 1024;
/** What is cut when the drain is over gets this long to say so. */
const LAST_WORDS_MS = 500;

/** The documented routes (`/ship…`), which have rules of their own. */
export interface DocumentedRoutes {
  /** Owns `/`, `/health` and `/stat` too. */
  register(app: FastifyInstance): void | Promise<void>;
  /** For /openapi.json. */
  readonly paths: object;
  readonly schemas?: object;
  /** As Fastify's; not asked for /v1. */
  rewriteUrl?(url: string): string;
}

export interface HttpServerDeps {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly bay: Client<typeof BayServiceDefinition>;
  readonly executions: Client<typeof ExecutionServiceDefinition>;
  readonly files: Client<typeof FileServiceDefinition>;
  /** Asked before a request is looked at. @throws StatusError TOKEN_MISSING, TOKEN_INVALID */
  readonly authorize: (authorization: string | undefined) => void;
  readonly descriptors: Descriptors;
  readonly documented?: DocumentedRoutes;
  readonly maxUploadBytes: number;
  readonly maxJsonBytes?: number;
  /** Pages of these origins may call; empty: CORS is off. */
  readonly corsOrigins: readonly string[];
  readonly version: string;
  /** @returns undefined when Bay can serve, else why not */
  readonly ready: () => Promise<string | undefined>;
  /** For Prometheus, at /metrics; asked for with the token like everything that tells of ships. */
  readonly metrics?: { readonly contentType: string; text(): Promise<string> };
  readonly log: GatewayLog;
  readonly streamTiming?: StreamTiming;
}

export interface HttpServer {
  readonly port: number;
  /**
   * Takes no more calls, tells readers to attach elsewhere, and gives the other calls this long to end; then they are
   * cut. At most half a second more until it resolves.
   */
  stop(options: { drainMs: number }): Promise<void>;
}

/** @throws Error that names the port and its variable where it cannot listen there */
export async function startHttpServer(deps: HttpServerDeps): Promise<HttpServer> {
  const app = await createHttpServer(deps);
  try {
    await app.listen({ host: deps.host, port: deps.port });
  } catch (cause) {
    await app.close();
    throw listenError(deps, cause);
  }
  const { port } = app.server.address() as AddressInfo;
  return { port, stop: ({ drainMs }) => stopServer(app, drainMs) };
}

/** The gateway with every route, not yet listening. */
export async function createHttpServer(deps: HttpServerDeps): Promise<FastifyInstance> {
  const maxJsonBytes = deps.maxJsonBytes ?? DEFAULT_MAX_JSON_BYTES;
  const { documented } = deps;
  const v1 = createV1(deps, maxJsonBytes);
  const serverOptions = {
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    highWaterMark: STREAM_BYTES,
  };
  const options = {
    loggerInstance: toFastifyLog(deps.log),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxJsonBytes,
    exposeHeadRoutes: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Uploads and waits have no bound here; a body that stops coming has one, and so has a head (Node's 60 s).
    requestTimeout: 0,
    return503OnClosing: false, // refuseWhileStopping says it in our words
    routerOptions: { caseSensitive: true, maxParamLength: 4096 },
    clientErrorHandler: answerClientError,
    // A path that is not percent-encoded UTF-8: Fastify's router gives up, ours has its own answer.
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      if (isV1(request.raw.url ?? '')) void v1.answer(request, reply);
      else sendError(reply, toStatusError(error));
    },
    rewriteUrl: ({ url = '/' }: { url?: string }) => (isV1(url) ? url : (documented?.rewriteUrl?.(url) ?? url)),
  };
  const app = deps.tls
    ? (Fastify({ ...options, https: { ...serverOptions, ...(await readTls(deps.tls)) } }) as unknown as FastifyInstance)
    : Fastify({ ...options, http: serverOptions });

  handleBodies(app);
  refuseWhileStopping(app);
  registerCors(app, deps.corsOrigins);
  app.setErrorHandler((error, _request, reply) => sendError(reply, toStatusError(error)));
  app.setNotFoundHandler((request, reply) => {
    if (isV1(request.raw.url ?? ''))
      void v1.answer(request, reply); // a method that Fastify has no routes for
    else answerUnknownPath(request, reply);
  });
  registerV1(app, v1.answer);
  registerOwnRoutes(app, deps, v1.routes);
  if (documented) await app.register(async (scope) => documented.register(scope));
  await app.ready();
  return app;
}

/** What is served under /v1: every rpc that has a route, and the contents of files. */
function createV1(deps: HttpServerDeps, maxJsonBytes: number): { answer: V1Answer; routes: readonly RpcRoute[] } {
  const services = [
    { definition: BayServiceDefinition, client: deps.bay },
    { definition: ExecutionServiceDefinition, client: deps.executions },
    { definition: FileServiceDefinition, client: deps.files },
  ];
  const table = new RouteTable<V1Handler>();
  const options = { maxJsonBytes, ...(deps.streamTiming ? { streamTiming: deps.streamTiming } : {}) };
  const routes = services.flatMap(({ definition, client }) => {
    const ofService = routesOf(definition, deps.descriptors);
    addRpcRoutes(table, ofService, client as unknown as AnyClient, options);
    return ofService;
  });
  addFileRoutes(table, deps);
  return { answer: v1Answer({ table, authorize: deps.authorize }), routes };
}

function registerOwnRoutes(app: FastifyInstance, deps: HttpServerDeps, routes: readonly RpcRoute[]): void {
  if (!deps.documented) app.get('/health', async () => ({ status: 'ok', message: 'Bay service is running' }));
  app.get('/ready', async (_request, reply) => {
    const problem = await deps.ready();
    if (problem === undefined) return { status: 'ready' };
    return reply.code(503).header('retry-after', '1').send({ status: 'not ready', detail: problem });
  });
  const { metrics } = deps;
  if (metrics) {
    app.get('/metrics', async (request, reply) => {
      deps.authorize(request.headers.authorization);
      return reply.type(metrics.contentType).send(await metrics.text());
    });
  }
  let document: OpenApiDocument | undefined;
  registerDocs(app, () => (document ??= buildOpenApi({ ...deps, routes })));
}

/** "100 Continue" waits until a body is wanted, and what is left of a body that was refused is taken for a while. */
function handleBodies(app: FastifyInstance): void {
  app.server.on('checkContinue', (request, response) => {
    deferContinue(request);
    app.server.emit('request', request, response);
  });
  // Not reached under /v1, whose handlers allow a body when they have looked at its head.
  app.addHook('preParsing', async (request, reply, payload) => {
    allowBody(request.raw, reply.raw);
    return payload;
  });
  app.addHook('onSend', async (request, reply, payload) => {
    // The client may or may not send the body that it was not asked for: the connection is good for nothing else.
    if (isAwaitingContinue(request.raw)) reply.header('connection', 'close');
    return payload;
  });
  app.addHook('onResponse', async (request, reply) => lingerOnUnreadBody(request.raw, reply.raw));
}

/** Connections outlive the listening socket for a while: what comes on them finds no work here any more. */
function refuseWhileStopping(app: FastifyInstance): void {
  let stopping = false;
  app.addHook('preClose', async () => {
    stopping = true;
  });
  app.addHook('onRequest', async (_request, reply) => {
    if (stopping) await sendError(reply, new StatusError('SHUTTING_DOWN', 'the server is stopping'));
  });
}

const OWN_PATHS = new Set(['/ready', '/metrics', '/openapi.json', '/docs', '/redoc']);

function answerUnknownPath(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const url = request.raw.url ?? '/';
  const [path = '/', query] = url.split('?', 2);
  if (OWN_PATHS.has(path)) {
    const error = new HttpOnlyError(405, 'METHOD_UNKNOWN', 'Method Not Allowed', { allow: 'GET' });
    return sendError(reply, error);
  }
  const shorter = path.replace(/\/+$/, '');
  if (OWN_PATHS.has(shorter)) return reply.redirect(query === undefined ? shorter : `${shorter}?${query}`, 307);
  return sendError(reply, new StatusError('METHOD_UNKNOWN', 'Not Found'));
}

/** What Fastify itself refuses before a handler sees it. */
function toStatusError(error: unknown): unknown {
  if (isStatusError(error) || !(error instanceof Error)) return error;
  const { statusCode } = error as Error & { statusCode?: number };
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return error;
  if (statusCode === 413) return new StatusError('TOO_LARGE', 'the body is too large', { cause: error });
  return new HttpOnlyError(statusCode, 'INVALID_ARGUMENT', error.message.toLowerCase());
}

async function readTls({ certFile, keyFile }: { certFile: string; keyFile: string }) {
  const read = (file: string, variable: string) =>
    readFile(file).catch((cause: Error) => {
      throw new Error(`${variable}: ${file} cannot be read: ${cause.message}`, { cause });
    });
  return {
    cert: await read(certFile, 'TLS_CERT_FILE'),
    key: await read(keyFile, 'TLS_KEY_FILE'),
    minVersion: 'TLSv1.2' as const,
    ALPNProtocols: ['http/1.1'],
  };
}

function listenError({ host, port }: HttpServerDeps, cause: unknown): Error {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return new Error(`port ${port} on ${host} is in use: set PORT to a free one`, { cause });
  if (code === 'EACCES') return new Error(`port ${port} on ${host} is not permitted: set PORT to another`, { cause });
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new Error(`${host} is no address of this machine: set HOST to one`, { cause });
  }
  return cause instanceof Error ? cause : new Error(String(cause));
}

async function stopServer(app: FastifyInstance, drainMs: number): Promise<void> {
  const server = app.server;
  const calls = openCallsOf(server);
  const reason = new StatusError('SHUTTING_DOWN', 'the server is stopping');
  calls.abort(reason, 'detachable');
  const cut = setTimeout(() => calls.abort(reason, 'all'), drainMs);
  const end = setTimeout(() => server.closeAllConnections(), drainMs + LAST_WORDS_MS);
  // A connection that answered its last call would otherwise be kept for the next one.
  const idle = setInterval(() => server.closeIdleConnections(), 100);
  try {
    await app.close();
  } finally {
    clearTimeout(cut);
    clearTimeout(end);
    clearInterval(idle);
  }
}
