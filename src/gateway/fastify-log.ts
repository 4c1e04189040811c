import type { FastifyBaseLogger } from 'fastify';

/** What the gateway asks of a log. */
export interface GatewayLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * The log as Fastify wants it. What Fastify tells of its own doings is for debugging: calls are logged, once each, by the
 * interceptor. A child for every request would cost more than it says.
 */
export function toFastifyLog(log: GatewayLog): FastifyBaseLogger {
  const at =
    (write: (fields: object, message: string) => void) =>
    (first: unknown, message?: unknown): void => {
      if (typeof first === 'string') write({}, first);
      else write(toFields(first), typeof message === 'string' ? message : 'http server');
    };
  const debug = at((fields, message) => log.debug(fields, message));
  const error = at((fields, message) => log.error(fields, message));
  const logger: FastifyBaseLogger = {
    level: 'info',
    silent: () => undefined,
    trace: debug,
    debug,
    info: debug,
    warn: at((fields, message) => log.warn(fields, message)),
    error,
    fatal: error,
    child: () => logger,
  };
  return logger;
}

function toFields(first: unknown): object {
  if (first instanceof Error) return { err: first };
  return typeof first === 'object' && first !== null ? first : {};
}
