/** The usual interceptor: acts before a call and after it, the same for one answer and for a stream. */
import type { CallContext } from './definition.js';
import type { Interceptor, UnaryHandler } from './router.js';
import type { Method } from './service.js';
import { StatusError } from './status-error.js';

export interface Around {
  /** What the rest of the chain sees in place of the call's context: see withMetadata. */
  readonly ctx?: CallContext;
  /** Called once when the call is over, with what it failed with. Must not throw. */
  readonly end?: (error: StatusError | undefined) => void;
}

/**
 * @param begin called before the handler, with the request's message where the method takes one (else undefined);
 *   throwing refuses the call. May be asynchronous; a synchronous one costs the call no turn of the event loop.
 */
export function around(
  begin: (ctx: CallContext, method: Method, request: unknown) => Around | void | Promise<Around | void>,
): Interceptor {
  return {
    unary: (next, method) => {
      const proceed = (request: unknown, ctx: CallContext, state: Around | void): Promise<unknown> =>
        state?.end ? tellEnd(next, request, state.ctx ?? ctx, state.end) : next(request, state?.ctx ?? ctx);
      // No async function, since each would cost every call some turns of the microtask queue.
      return (request, ctx) => {
        try {
          const begun = begin(ctx, method, method.requestStream ? undefined : request);
          if (!(begun instanceof Promise)) return proceed(request, ctx, begun);
          return begun.then((state) => proceed(request, ctx, state));
        } catch (thrown) {
          return Promise.reject(thrown); // eslint-disable-line @typescript-eslint/prefer-promise-reject-errors -- passed on
        }
      };
    },
    stream: (next, method) =>
      async function* (request, ctx) {
        const begun = begin(ctx, method, method.requestStream ? undefined : request);
        const state = begun instanceof Promise ? await begun : begun;
        let error: StatusError | undefined;
        try {
          yield* next(request, state?.ctx ?? ctx);
        } catch (thrown) {
          error = StatusError.from(thrown);
          throw error;
        } finally {
          state?.end?.(error);
        }
      },
  };
}

async function tellEnd(
  next: UnaryHandler,
  request: unknown,
  ctx: CallContext,
  end: (error: StatusError | undefined) => void,
): Promise<unknown> {
  let error: StatusError | undefined;
  try {
    return await next(request, ctx);
  } catch (thrown) {
    error = StatusError.from(thrown);
    throw error;
  } finally {
    end(error);
  }
}
