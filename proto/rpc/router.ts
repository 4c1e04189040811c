/**
 * Services, implemented as plain objects, behind one table from path to handler. Interceptors wrap the handlers when the
 * table is made, so that every transport behaves the same and a call pays only for what it passes through.
 */
import { Call, type CallStart } from './call.js';
import type { CallContext, Implementation, ServiceDefinitionLike } from './definition.js';
import { toService, type Method, type Service } from './service.js';
import { StatusError } from './status-error.js';

/** A call with one answer. `request` is a message, or an async iterable of them where the method's request streams. */
export type UnaryHandler = (request: unknown, ctx: CallContext) => Promise<unknown>;
/** A call with a stream of answers: messages, or encoded bytes where the method is raw. */
export type StreamHandler = (request: unknown, ctx: CallContext) => AsyncIterable<unknown>;

/**
 * Wraps handlers; asked once for each method, when the router is made. The first of the list is the outermost. Most
 * interceptors only act before and after a call and are better written with `around`.
 */
export interface Interceptor {
  unary?(next: UnaryHandler, method: Method): UnaryHandler;
  stream?(next: StreamHandler, method: Method): StreamHandler;
}

/** A method and what serves it; `unary` where one answer is given, else `stream`. */
export type Route =
  | { readonly method: Method; readonly unary: UnaryHandler; readonly stream?: undefined }
  | { readonly method: Method; readonly unary?: undefined; readonly stream: StreamHandler };

export interface Router {
  readonly services: readonly Service[];
  /** By path: "/package.Service/Method". */
  readonly routes: ReadonlyMap<string, Route>;
  /** @throws StatusError METHOD_UNKNOWN */
  route(path: string): Route;
  /** Begins a call: its context, with the joined signal. The transport ends it. @throws StatusError SHUTTING_DOWN */
  begin(method: Method, start: CallStart): Call;
  readonly openCalls: number;
  /** Refuses further calls with SHUTTING_DOWN; those that are open go on. */
  close(): void;
  /** Resolves when no call is open. */
  idle(): Promise<void>;
  /** Closes, and aborts every open call's signal. */
  abort(reason?: StatusError): void;
}

type Served<S extends ServiceDefinitionLike> = readonly [definition: S, implementation: Implementation<S>];

export interface RouterOptions<S extends readonly ServiceDefinitionLike[]> {
  /** Pairs of a generic definition and its implementation. */
  readonly services: readonly [...{ [I in keyof S]: Served<S[I]> }];
  readonly interceptors?: readonly Interceptor[];
}

export function createRouter<const S extends readonly ServiceDefinitionLike[]>(options: RouterOptions<S>): Router {
  const routes = new Map<string, Route>();
  const services: Service[] = [];
  for (const [definition, implementation] of options.services as readonly Served<ServiceDefinitionLike>[]) {
    const service = toService(definition);
    services.push(service);
    for (const method of service.methods) {
      if (routes.has(method.path)) throw new Error(`${method.path} is served twice`);
      routes.set(method.path, toRoute(method, implementation, options.interceptors ?? []));
    }
  }
  return new CallTable(services, routes);
}

function toRoute(method: Method, implementation: object, interceptors: readonly Interceptor[]): Route {
  const functions = implementation as Readonly<Record<string, unknown>>;
  const own = functions[method.key];
  if (typeof own !== 'function') throw new Error(`${method.path} has no implementation`);
  if (method.responseStream) {
    let stream = own.bind(implementation) as StreamHandler;
    for (const interceptor of interceptors.toReversed()) stream = interceptor.stream?.(stream, method) ?? stream;
    return { method, stream };
  }
  let unary = own.bind(implementation) as UnaryHandler;
  for (const interceptor of interceptors.toReversed()) unary = interceptor.unary?.(unary, method) ?? unary;
  return { method, unary };
}

class CallTable implements Router {
  readonly services: readonly Service[];
  readonly routes: ReadonlyMap<string, Route>;
  readonly #open = new Set<Call>();
  readonly #waiting = new Set<() => void>();
  #closed: StatusError | undefined;

  constructor(services: readonly Service[], routes: ReadonlyMap<string, Route>) {
    this.services = services;
    this.routes = routes;
  }

  get openCalls(): number {
    return this.#open.size;
  }

  route(path: string): Route {
    const route = this.routes.get(path);
    if (!route) throw new StatusError('METHOD_UNKNOWN', `unknown method: ${path}`);
    return route;
  }

  begin(method: Method, start: CallStart): Call {
    if (this.#closed) throw this.#closed;
    const call = new Call(method.path, start, this.#ended);
    this.#open.add(call);
    return call;
  }

  close(): void {
    this.#closed ??= new StatusError('SHUTTING_DOWN', 'the server is stopping');
  }

  async idle(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  abort(reason = new StatusError('SHUTTING_DOWN', 'the server is stopping')): void {
    this.#closed ??= reason;
    for (const call of [...this.#open]) call.cancel(reason);
  }

  readonly #ended = (call: Call): void => {
    this.#open.delete(call);
    if (this.#open.size > 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  };
}
