/**
 * The /v1 routes: made from the protos' google.api.http options, so that an rpc and its route cannot differ. One wildcard
 * route of Fastify's leads here, because verbs (":stop") and exact answers for unknown paths need an own matcher.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ExecutionEvent } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { MethodDefinitionLike } from '../../proto/rpc/definition.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { openCall, readSessionId, type HttpCall } from './call.js';
import { chooseFormat } from './event-stream.js';
import { isEnd, toEventItem } from './execution-events.js';
import { HttpOnlyError, sendError } from './http-error.js';
import { readJsonBody } from './json-body.js';
import type { Message } from './json/message-reader.js';
import { MessageWriter } from './json/message-writer.js';
import { parseQuery } from './query.js';
import { readRequest } from './read-request.js';
import { hasBody } from './request-body.js';
import { resumeAttach, resumeStart } from './resume.js';
import type { RouteTable } from './route-table.js';
import type { RpcRoute } from './rpc-route.js';
import { READER_TIMING, sendStream, START_TIMING, type StreamTiming } from './send-stream.js';

/** A request that was matched to a route. */
export interface V1Request {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly variables: Readonly<Record<string, string>>;
}

/** Answers, or throws before anything was sent. */
export type V1Handler = (matched: V1Request) => Promise<void>;

/** Clients by their services' names, as the handlers need them: one function a method. */
export type AnyClient = Readonly<
  Record<string, (request: Message, options: HttpCall) => Promise<object> | AsyncIterable<object>>
>;

export interface TranscodeDeps {
  readonly table: RouteTable<V1Handler>;
  /** @throws StatusError TOKEN_MISSING, TOKEN_INVALID */
  readonly authorize: (authorization: string | undefined) => void;
}

/** Answers a request under /v1, whatever its method and path. Never rejects. */
export type V1Answer = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

export function v1Answer(deps: TranscodeDeps): V1Answer {
  return (request, reply) => answerV1(deps, request, reply);
}

export function isV1(url: string): boolean {
  return /^\/v1(\/|\?|$)/.test(url);
}

/**
 * Leads everything under /v1 to one answer. It is given in Fastify's first hook, which never calls on: all that comes
 * after it (content types, body parsers) would refuse requests before the token was checked, and in other words.
 */
export function registerV1(app: FastifyInstance, answer: V1Answer): void {
  void app.register(async (scope) => {
    scope.addHook('onRequest', (request, reply, _done) => void answer(request, reply));
    const unreachable = () => {
      throw new Error('answered by the hook');
    };
    scope.all('/v1', unreachable);
    scope.all('/v1/*', unreachable);
  });
}

async function answerV1(deps: TranscodeDeps, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  try {
    deps.authorize(request.headers.authorization);
    const { handler, variables } = find(deps.table, request);
    await handler({ request, reply, variables });
  } catch (thrown) {
    if (reply.sent)
      reply.raw.destroy(); // within a body: that it is incomplete is all that can be said
    else sendError(reply, thrown);
  }
}

function find(table: RouteTable<V1Handler>, request: FastifyRequest) {
  const url = request.raw.url ?? '';
  const path = url.split('?', 1)[0] ?? '';
  const found = table.find(request.method, path);
  if (found && 'target' in found) return { handler: found.target, variables: found.variables };
  if (!found) throw new StatusError('METHOD_UNKNOWN', `no such path: ${path.slice(0, 200)}`);
  const allowed = found.allowed.join(', ');
  throw new HttpOnlyError(405, 'METHOD_UNKNOWN', `this path does not take ${request.method}, but ${allowed}`, {
    allow: allowed,
  });
}

export interface RpcRouteOptions {
  readonly maxJsonBytes: number;
  readonly streamTiming?: StreamTiming;
}

/** Adds a service's rpcs to the table. */
export function addRpcRoutes(
  table: RouteTable<V1Handler>,
  routes: readonly RpcRoute[],
  client: AnyClient,
  options: RpcRouteOptions,
): void {
  for (const route of routes) {
    const answer = route.definition.responseStream
      ? streamAnswer(route, client, options.streamTiming)
      : unaryAnswer(route, client);
    table.add(route.httpMethod, route.path, async (matched) => {
      const call = openCall(matched.request, matched.reply, { detachable: isReader(route) });
      await answer(matched, await readMessage(route, matched, call, options), call);
    });
  }
}

/** Streams over GET read what is there anyway: cutting them loses nothing. */
function isReader(route: RpcRoute): boolean {
  return route.definition.responseStream && route.httpMethod === 'GET';
}

async function readMessage(
  route: RpcRoute,
  { request, reply, variables }: V1Request,
  call: HttpCall,
  options: { maxJsonBytes: number },
): Promise<Message> {
  const query = parseQuery(request.raw.url ?? '');
  const session =
    route.sessionPath === undefined ? {} : { session: { path: route.sessionPath, id: readSessionId(request) } };
  if (!route.hasBody) {
    if (hasBody(request.raw)) throw new StatusError('INVALID_ARGUMENT', `${request.method} takes no body here`);
    return readRequest(route.descriptor.input, { variables, query, ...session });
  }
  const body = await readJsonBody(request, reply, { maxBytes: options.maxJsonBytes, signal: call.signal });
  return readRequest(route.descriptor.input, { variables, query, body, ...session });
}

type Answer = (matched: V1Request, message: Message, call: HttpCall) => Promise<void>;

function unaryAnswer(route: RpcRoute, client: AnyClient): Answer {
  const writer = MessageWriter.of(route.descriptor.output);
  const invoke = functionOf(client, route.name);
  return async ({ reply }, message, call) => {
    const response = await (invoke(message, call) as Promise<object>);
    sendJson(reply, writer, response);
  };
}

export function sendJson(reply: FastifyReply, writer: MessageWriter, message: object): void {
  void reply.type('application/json; charset=utf-8').send(JSON.stringify(writer.write(message)));
}

function streamAnswer(route: RpcRoute, client: AnyClient, streamTiming: StreamTiming | undefined): Answer {
  const timing = streamTiming ?? (isReader(route) ? READER_TIMING : START_TIMING);
  const invoke = functionOf(client, route.name);
  const isExecution = route.descriptor.output.typeName === 'shipyard.execution.v1.ExecutionEvent';
  if (!isExecution) {
    const writer = MessageWriter.of(route.descriptor.output);
    return async ({ request, reply }, message, call) => {
      const messages = decoded(invoke(message, call) as AsyncIterable<object>, route);
      const toItem = (item: object) => ({ json: JSON.stringify(writer.write(item)) });
      await sendStream(reply, messages, { format: chooseFormat(request), signal: call.signal, toItem, timing });
    };
  }

  const toItem = toEventItem(route.descriptor.output);
  const attach = functionOf(client, 'attachExecution');
  return async ({ request, reply }, message, call) => {
    const starts = route.name === 'startExecution';
    const resumed = starts ? resumeStart(request, message) : resumeAttach(request, message);
    const events = resumed ? attach(resumed, call) : invoke(message, call);
    await sendStream(reply, decoded<ExecutionEvent>(events as AsyncIterable<object>, route), {
      format: chooseFormat(request),
      signal: call.signal,
      toItem,
      isLast: isEnd,
      emptyIs204: !starts || resumed !== undefined,
      timing,
    });
  };
}

async function* decoded<T extends object>(messages: AsyncIterable<object>, route: RpcRoute): AsyncGenerator<T> {
  const { responseType }: MethodDefinitionLike = route.definition;
  for await (const message of messages) {
    yield (route.raw ? responseType.decode(message as Uint8Array) : message) as T;
  }
}

function functionOf(client: AnyClient, name: string): AnyClient[string] {
  const found = client[name];
  if (!found) throw new Error(`the client has no ${name}`);
  return (request, options) => found(request, options);
}
