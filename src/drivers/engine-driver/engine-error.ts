import { isStatusError, StatusError } from '../../../proto/rpc/status-error.js';
import { hasCode, inFull, toError } from '../system-error.js';
import type { Engine } from './engine.js';

/** The engine's own status for a refusal: 404, 409. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

export const isNotThere = (error: unknown): boolean => statusOf(error) === 404;

/** What went wrong, in the engine's own words, on one line: for operators and logs, not for callers. */
export function engineTrouble(error: unknown): string {
  if (isStatusError(error)) return inFull(error);
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
 * A failed call as the driver tells it. An engine that does not answer, or fails, may do better later; what it refused stays
 * refused. The message is for callers; where the engine is and what it said is the cause, which stays in the process.
 *
 * @param doing what was asked for, as "making the container"
 */
export function toDriverError({ kind, url }: Pick<Engine, 'kind' | 'url'>, doing: string, error: unknown): StatusError {
  if (isStatusError(error)) return error;
  const status = statusOf(error);
  const cause = new Error(`${url}: ${engineTrouble(error)}`);
  if (status === undefined)
    return new StatusError('DRIVER_UNAVAILABLE', `${kind} does not answer (${doing})`, { cause });
  if (status >= 500) return new StatusError('DRIVER_UNAVAILABLE', `${kind} failed at ${doing}`, { cause });
  const words = engineTrouble(error);
  const own = OF_LIMITS.test(words) ? `: ${words}` : '';
  return new StatusError('DRIVER_REFUSED', `${kind} refused ${doing}${own}`, { cause });
}

/** Words that concern what the caller asked for, and tell nothing of the machine but how large it is. */
const OF_LIMITS = /^(?:range of cpus|minimum memory|maximum memory)\b/i;
