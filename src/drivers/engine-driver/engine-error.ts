import { isStatusError, StatusError } from '../../../proto/rpc/status-error.js';
import { hasCode, toError } from '../system-error.js';
import type { Engine } from './engine.js';

/** The engine's own status for a refusal: 404, 409. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

export const isNotThere = (error: unknown): boolean => statusOf(error) === 404;

/** What went wrong, in the engine's own words, on one line. */
export function engineTrouble(error: unknown): string {
  if (hasCode(error, 'EACCES', 'EPERM'))
    return 'permission denied (let this user use the socket, or run an engine without root)';
  if (hasCode(error, 'ECONNREFUSED', 'ENOENT')) return 'nothing answers there';
  const told =
    typeof error === 'object' && error !== null && 'json' in error
      ? (error.json as { message?: unknown } | null)
      : null;
  const text = typeof told?.message === 'string' ? told.message : toError(error).message;
  return text
    .replace(/^\(HTTP code \d+\) [a-z ]+ - /, '')
    .trim()
    .replace(/\s*\n\s*/g, '; ');
}

/**
 * A failed call as the driver tells it: an engine that does not answer may come back, what it refused stays refused.
 *
 * @param doing what was asked for, as "making the container"
 */
export function toDriverError(engine: Pick<Engine, 'kind' | 'url'>, doing: string, error: unknown): StatusError {
  if (isStatusError(error)) return error;
  const refused = statusOf(error) !== undefined;
  const message = refused
    ? `${engine.kind} refused ${doing}: ${engineTrouble(error)}`
    : `${engine.kind} at ${engine.url} does not answer (${doing}): ${engineTrouble(error)}`;
  return new StatusError(refused ? 'DRIVER_REFUSED' : 'DRIVER_UNAVAILABLE', message, { cause: error });
}
