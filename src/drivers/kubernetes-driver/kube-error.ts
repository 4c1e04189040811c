import { isStatusError, StatusError } from '../../../proto/rpc/status-error.js';

/** What the API server answered in place of what it was asked for; `message` is its own. */
export class KubeError extends Error {
  override readonly name = 'KubeError';

  constructor(
    /** Of HTTP. */
    readonly status: number,
    /** The API's word: `NotFound`, `AlreadyExists`, `Forbidden`, `Expired`, `Invalid`. */
    readonly reason: string,
    message: string,
    /** Of the object that it is about; empty where it is about none. */
    readonly objectName = '',
  ) {
    super(message);
  }
}

/** Reads the API's `Status`; whatever else a proxy on the way may say is cut short. */
export function toKubeError(status: number, body: string): KubeError {
  try {
    const { reason, message, details } = JSON.parse(body) as {
      reason?: unknown;
      message?: unknown;
      details?: { name?: unknown };
    };
    if (typeof message === 'string') return new KubeError(status, textOf(reason), message, textOf(details?.name));
  } catch {
    // not the API's own answer
  }
  return new KubeError(status, '', body.trim().slice(0, 500) || `HTTP status ${status}`);
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/**
 * Whether the cluster has no object of this name. A 404 alone is no word of that: whatever stands in between answers so,
 * and a server that starts, for kinds that it does not serve yet.
 */
export const isNotFound = (error: unknown, name: string): boolean =>
  error instanceof KubeError && error.status === 404 && error.reason === 'NotFound' && error.objectName === name;

export const isKubeError = (error: unknown, ...statuses: number[]): error is KubeError =>
  error instanceof KubeError && statuses.includes(error.status);

/**
 * The failure of an act on the cluster, for whoever asked for it. What may pass is told apart from what the cluster will
 * refuse again: a quota is free again when other ships end.
 */
export function toDriverError(doing: string, error: unknown): StatusError {
  if (isStatusError(error)) return error;
  if (!(error instanceof KubeError)) return new StatusError('INTERNAL', `${doing} failed`, { cause: error });
  const message = `${doing}: ${error.message}`;
  const { status } = error;
  const isNoWordOfServer = status === 404 && error.reason === '';
  if (isNoWordOfServer || status >= 500 || status === 408 || status === 429) {
    return new StatusError('DRIVER_UNAVAILABLE', message, { cause: error });
  }
  const reason = /exceeded quota/i.test(error.message) ? 'SHIP_START_FAILED' : 'DRIVER_REFUSED';
  return new StatusError(reason, message, { cause: error });
}
