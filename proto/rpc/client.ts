/** A service as its caller sees it, over any transport. */
import type { CallOptions, Client, ServiceDefinitionLike } from './definition.js';
import { toService, type Method } from './service.js';

/**
 * Carries calls. Messages are handed over decoded, except answers of raw methods, which are bytes on both sides.
 * Failures are StatusErrors. A call ends early when `options.signal` aborts, when `options.timeoutMs` passes, or when the
 * reader of a stream leaves its loop; the callee's signal is aborted then.
 */
export interface Transport {
  /** One answer. `request` is an async iterable of messages where the method's request streams. */
  unary(method: Method, request: unknown, options?: CallOptions): Promise<unknown>;
  /** A stream of answers with back-pressure. The call begins with the first next(); the result is read once. */
  stream(method: Method, request: unknown, options?: CallOptions): AsyncIterable<unknown>;
}

export function createClient<S extends ServiceDefinitionLike>(definition: S, transport: Transport): Client<S> {
  const functions: Record<string, (request: unknown, options?: CallOptions) => unknown> = {};
  for (const method of toService(definition).methods) {
    functions[method.key] = method.responseStream
      ? (request, options) => transport.stream(method, request, options)
      : (request, options) => transport.unary(method, request, options);
  }
  return functions as Client<S>;
}
