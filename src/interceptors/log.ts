import { status } from '@grpc/grpc-js';
import { around } from '../../proto/rpc/around.js';
import type { Interceptor } from '../../proto/rpc/router.js';
import type { StatusError } from '../../proto/rpc/status-error.js';
import type { Logs } from '../telemetry/log.js';

/**
 * One line a call, when it is over: what was called, on what, how it ended and how long it took. Never its contents. The
 * answer leaves first.
 */
export function logInterceptor({ log, calls }: Pick<Logs, 'log' | 'calls'>): Interceptor {
  return around((ctx, method, request) => {
    const began = performance.now();
    return {
      end: (error) => {
        const line = {
          method: method.path,
          ...readNames(request),
          code: status[error?.codes.code ?? status.OK],
          ...(error ? { reason: error.reason } : {}),
          durationMs: Math.round((performance.now() - began) * 100) / 100,
          peer: ctx.peer,
        };
        setImmediate(() => {
          if (error && isOurs(error)) log.error({ ...line, err: error.cause ?? error }, 'rpc');
          else calls.info(line, 'rpc');
        });
      },
    };
  });
}

/** Failures that nobody but the operator can do something about. */
function isOurs(error: StatusError): boolean {
  return error.reason === 'INTERNAL' || error.reason === 'DRIVER_UNAVAILABLE' || error.reason === 'DRIVER_REFUSED';
}

const LONGEST_NAME = 128;

function readNames(request: unknown): Record<string, string> {
  const names: Record<string, string> = {};
  if (typeof request !== 'object' || request === null) return names;
  const start: unknown = 'start' in request ? request.start : undefined;
  const source = typeof start === 'object' && start !== null ? start : request;
  for (const key of ['shipId', 'sessionId', 'executionId'] as const) {
    const value: unknown = (source as Readonly<Record<string, unknown>>)[key];
    if (typeof value === 'string' && value !== '') names[key] = value.slice(0, LONGEST_NAME);
  }
  return names;
}
