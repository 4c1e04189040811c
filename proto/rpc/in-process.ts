/** Calls within the process, without encoding: for the gateway, and for tests. */
import { Abortable } from './abortable.js';
import { abortReason, type Call } from './call.js';
import type { Cancellation } from './cancellation.js';
import type { Transport } from './client.js';
import type { CallOptions } from './definition.js';
import type { Router } from './router.js';
import type { Method } from './service.js';
import { StatusError } from './status-error.js';

const NO_OPTIONS: CallOptions = {};
const NO_METADATA = Object.freeze({});

/** @param options.peer what contexts name as peer where the call's options do not; default "in-process" */
export function inProcess(router: Router, options: { readonly peer?: string } = {}): Transport {
  const begin = (method: Method, { signal, metadata, peer, timeoutMs }: CallOptions): Call => {
    if (signal?.aborted) throw abortReason(signal);
    return router.begin(method, {
      metadata: metadata ?? NO_METADATA,
      peer: peer ?? options.peer ?? 'in-process',
      timeoutMs,
    });
  };

  return {
    async unary(method, request, callOptions = NO_OPTIONS) {
      const handler = router.route(method.path).unary;
      if (!handler) throw new StatusError('INTERNAL', `${method.path} answers with a stream`);
      const call = begin(method, callOptions);
      const forget = follow(callOptions.signal, call);
      const requests = method.requestStream ? new Abortable(request as AsyncIterable<unknown>) : undefined;
      const run = async (): Promise<unknown> => {
        try {
          return await handler(requests ?? request, call.ctx);
        } catch (thrown) {
          throw StatusError.from(thrown);
        } finally {
          forget();
          requests?.abort(CALL_OVER);
          call.end();
        }
      };
      return new Promise((resolve, reject) => {
        call.onCancel = (reason) => {
          requests?.abort(reason);
          reject(reason);
        };
        run().then(resolve, reject);
      });
    },

    async *stream(method, request, callOptions = NO_OPTIONS) {
      const handler = router.route(method.path).stream;
      if (!handler) throw new StatusError('INTERNAL', `${method.path} answers once`);
      const call = begin(method, callOptions);
      const forget = follow(callOptions.signal, call);
      const requests = method.requestStream ? new Abortable(request as AsyncIterable<unknown>) : undefined;
      let answers: Abortable<unknown> | undefined;
      call.onCancel = (reason) => {
        requests?.abort(reason);
        answers?.abort(reason);
      };
      let over = false;
      try {
        answers = new Abortable(handler(requests ?? request, call.ctx));
        for (;;) {
          const result = await answers.next();
          if (result.done) break;
          yield result.value;
        }
        over = true;
      } catch (thrown) {
        over = true;
        throw StatusError.from(thrown);
      } finally {
        forget();
        if (!over) call.cancel(READER_LEFT);
        requests?.abort(CALL_OVER);
        call.end();
      }
    },
  };
}

const CALL_OVER = new StatusError('CANCELLED', 'the call is over');
const READER_LEFT = new StatusError('CANCELLED', 'the reader left');

/** Cancels the call when the signal aborts. @returns what ends that */
function follow(signal: Cancellation | undefined, call: Call): () => void {
  if (!signal) return () => undefined;
  const onAbort = (): void => call.cancel(abortReason(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}
