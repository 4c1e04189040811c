/**
 * The documented routes of the original Shipyard, compatible to the letter: a plugin of its own, so that their rules
 * (FastAPI's order of checks, its words, its redirects) hold for them alone.
 */
import { METHODS } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isStatusError } from '../../../proto/rpc/status-error.js';
import { decodeHeader, openCall } from '../call.js';
import { ApiError } from './api-error.js';
import { refusalOf } from './authorization.js';
import { checkExecBody, runExec } from './exec/index.js';
import { contentDisposition, openDownload } from './files/download.js';
import { checkFormHeader } from './files/upload-form.js';
import { upload } from './files/upload.js';
import { NO_BODY, parseBody, readWholeBody, type Body } from './json/body.js';
import { INVALID, missing, type ValidationItem } from './json/validation.js';
import { matchRoute, MOUNT_PATHS, unquote, type RouteMatch, type RouteName } from './routes.js';
import { sendApiError, sendJson } from './send.js';
import { toSessionId } from './session-id.js';
import {
  checkCreateShip,
  checkExtendTtl,
  checkKeepWorkspace,
  createShip,
  deleteShip,
  extendTtl,
  getShip,
  listShips,
  shipLogs,
} from './ships.js';
import type { ApiCall, ShipyardApiDeps } from './types.js';

export { documentedPaths } from './openapi.js';
export { repairUrl } from './routes.js';
export type { ShipyardApiConfig, ShipyardApiDeps } from './types.js';

/** A JSON body is held in memory whole; files of any size go by upload. */
const MAX_JSON_BYTES = 64 * 1024 * 1024;
/** Before the token is known to be right: broken JSON is told even then, but not at any price. */
const MAX_UNAUTHORIZED_BYTES = 1024 * 1024;

interface Arrival {
  readonly match: RouteMatch;
  readonly contentType: string | undefined;
}

/**
 * Registers the routes. They are mounted under fixed paths and wildcards and matched here, on the decoded path; give
 * `repairUrl` to Fastify as `rewriteUrl`, so that malformed percent signs reach them too.
 */
export async function registerShipyardApi(app: FastifyInstance, deps: ShipyardApiDeps): Promise<void> {
  await app.register(async (scope) => {
    const arrivals = new WeakMap<FastifyRequest, Arrival>();
    const methods = supportEveryMethod(scope);
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null)); // bodies are read by the routes

    scope.addHook('onRequest', async (request, reply) => {
      const match = matchRoute(request.method, pathOf(request));
      const contentType = request.raw.headers['content-type'];
      arrivals.set(request, { match, contentType });
      // Fastify would answer 415 to a content type that it cannot parse; here any is taken, and judged later.
      if (request.method !== 'QUERY') delete request.raw.headers['content-type'];
      if (match.kind !== 'found') return answerUnmatched(request, reply, match);
      return undefined;
    });

    for (const url of MOUNT_PATHS) {
      scope.route({
        method: methods,
        url,
        exposeHeadRoute: false,
        handler: (request, reply) => answer(deps, request, reply, arrivals.get(request) as Arrival),
      });
    }
  });
}

/** Fastify knows the common methods only; a documented path answers 405 to all of them. CONNECT never gets here. */
function supportEveryMethod(scope: FastifyInstance): string[] {
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !scope.supportedMethods.includes(method)) scope.addHttpMethod(method);
  }
  return [...scope.supportedMethods];
}

function pathOf(request: FastifyRequest): string {
  const url = request.raw.url ?? '/';
  const query = url.indexOf('?');
  return unquote(query === -1 ? url : url.slice(0, query));
}

function queryOf(request: FastifyRequest): URLSearchParams {
  const url = request.raw.url ?? '/';
  const query = url.indexOf('?');
  return new URLSearchParams(query === -1 ? '' : url.slice(query + 1));
}

function answerUnmatched(request: FastifyRequest, reply: FastifyReply, match: RouteMatch): FastifyReply {
  if (match.kind === 'redirect') {
    const url = request.raw.url ?? '';
    const query = url.indexOf('?') === -1 ? '' : url.slice(url.indexOf('?'));
    const path = match.path.split('/').map(encodeURIComponent).join('/');
    return reply.code(307).header('location', `${request.protocol}://${request.host}${path}${query}`).send();
  }
  if (match.kind === 'wrong-method') {
    return sendApiError(reply, new ApiError(405, 'Method Not Allowed', { headers: { allow: match.allow } }));
  }
  return sendApiError(reply, new ApiError(404, 'Not Found'));
}

async function answer(
  deps: ShipyardApiDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { match, contentType }: Arrival,
): Promise<FastifyReply> {
  if (match.kind !== 'found') throw new Error('an unmatched request reached a route');
  const open = OPEN_ROUTES[match.name];
  if (open) return sendJson(reply, 200, JSON.stringify(open(deps)));
  const call: ApiCall = {
    deps,
    request,
    reply,
    contentType,
    shipId: match.shipId,
    options: openCall(request, reply),
  };
  try {
    return await ROUTES[match.name as ClosedRoute](call);
  } catch (error) {
    return sendFailure(call, error);
  }
}

type ClosedRoute = Exclude<RouteName, 'root' | 'health' | 'stat'>;

const OPEN_ROUTES: Partial<Record<RouteName, (deps: ShipyardApiDeps) => object>> = {
  root: () => ({ status: 'ok', message: 'Welcome to Bay API' }),
  health: () => ({ status: 'ok', message: 'Bay service is running' }),
  stat: (deps) => ({ service: 'bay', version: deps.config.version, status: 'running', author: 'AstrBot Team' }),
};

const ROUTES: Record<ClosedRoute, (call: ApiCall) => Promise<FastifyReply>> = {
  async listShips(call) {
    checkToken(call);
    return sendJson(call.reply, 200, JSON.stringify(await listShips(call)));
  },

  async createShip(call) {
    const body = await authorizedBody(call);
    const errors: ValidationItem[] = [];
    const sessionId = checkSessionId(call, errors);
    const asked = checkCreateShip(body, errors);
    if (sessionId === undefined || asked === INVALID) throw ApiError.validation(errors);
    return sendJson(call.reply, 201, JSON.stringify(await createShip(call, sessionId, asked)));
  },

  async getShip(call) {
    checkToken(call);
    return sendJson(call.reply, 200, JSON.stringify(await getShip(call)));
  },

  async deleteShip(call) {
    checkToken(call);
    const errors: ValidationItem[] = [];
    const keepWorkspace = checkKeepWorkspace(queryOf(call.request), errors);
    if (keepWorkspace === INVALID) throw ApiError.validation(errors);
    await deleteShip(call, keepWorkspace);
    return call.reply.code(204).send();
  },

  async exec(call) {
    const body = await authorizedBody(call);
    const errors: ValidationItem[] = [];
    const sessionId = checkSessionId(call, errors);
    const asked = checkExecBody(body, errors);
    if (sessionId === undefined || asked === INVALID) throw ApiError.validation(errors);
    return sendJson(call.reply, 200, await runExec({ ...call, sessionId }, body, asked));
  },

  async logs(call) {
    checkToken(call);
    const logs = await shipLogs(call);
    return sendJson(call.reply, 200, typeof logs === 'function' ? logs() : logs);
  },

  async extendTtl(call) {
    const body = await authorizedBody(call);
    const errors: ValidationItem[] = [];
    const ttlSeconds = checkExtendTtl(body, errors);
    if (ttlSeconds === INVALID) throw ApiError.validation(errors);
    return sendJson(call.reply, 200, JSON.stringify(await extendTtl(call, ttlSeconds)));
  },

  async upload(call) {
    checkFormHeader(call.contentType);
    checkToken(call);
    const errors: ValidationItem[] = [];
    const sessionId = checkSessionId(call, errors);
    return sendJson(call.reply, 200, await upload(call, sessionId, errors));
  },

  async download(call) {
    checkToken(call);
    const errors: ValidationItem[] = [];
    const path = queryOf(call.request).getAll('file_path').at(-1);
    if (path === undefined) errors.push(missing(['query', 'file_path']));
    const sessionId = checkSessionId(call, errors);
    if (sessionId === undefined || path === undefined) throw ApiError.validation(errors);
    const { info, data } = await openDownload(call, sessionId, path);
    return call.reply
      .code(200)
      .header('content-type', 'application/octet-stream')
      .header('content-length', info.sizeBytes)
      .header('content-disposition', contentDisposition(path, info))
      .send(Readable.from(data, { objectMode: false }));
  },
};

/** Empty is a session like any other; only the missing header is an error. */
function checkSessionId(call: ApiCall, errors: ValidationItem[]): string | undefined {
  const sessionId = call.request.raw.headersDistinct['x-session-id']?.[0];
  if (sessionId === undefined) errors.push(missing(['header', 'X-SESSION-ID']));
  return sessionId === undefined ? undefined : toSessionId(decodeHeader(sessionId));
}

function checkToken(call: ApiCall): void {
  const refusal = refusalOf(call.deps, call.request.headers.authorization);
  if (refusal) throw refusal;
}

/** The order of the original: broken JSON is told first, the token is judged next, and what the body says last. */
async function authorizedBody(call: ApiCall): Promise<Body> {
  const refusal = refusalOf(call.deps, call.request.headers.authorization);
  const bytes = await readWholeBody(call, refusal ? MAX_UNAUTHORIZED_BYTES : MAX_JSON_BYTES);
  const body = bytes === undefined ? NO_BODY : parseBody(bytes, call.contentType);
  if (refusal) throw refusal;
  if (bytes !== undefined) return body;
  throw new ApiError(413, `Request body exceeds maximum allowed size (${MAX_JSON_BYTES} bytes)`);
}

function sendFailure({ reply, request, deps }: ApiCall, error: unknown): FastifyReply {
  if (error instanceof ApiError) return sendApiError(reply, error);
  if (reply.raw.destroyed || (isStatusError(error) && error.reason === 'CANCELLED')) {
    return sendApiError(reply, new ApiError(499, 'Client Closed Request')); // nobody is there to read it
  }
  deps.log.error({ err: error, route: request.routeOptions.url }, 'a documented route failed');
  return sendApiError(reply, new ApiError(500, 'Internal Server Error'));
}
