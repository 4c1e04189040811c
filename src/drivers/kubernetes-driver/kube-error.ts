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
  ) {
    super(message);
  }
}

/** Reads the API's `Status`; whatever else a proxy on the way may say is cut short. */
export function toKubeError(status: number, body: string): KubeError {
  try {
    const parsed = JSON.parse(body) as { reason?: unknown; message?: unknown };
    if (typeof parsed.message === 'string')
      return new KubeError(status, typeof parsed.reason === 'string' ? parsed.reason : '', parsed.message);
  } catch {
    // not the API's own answer
  }
  return new KubeError(status, '', body.trim().slice(0, 500) || `HTTP status ${status}`);
}

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
  if (status >= 500 || status === 408 || status === 429) {
    return new StatusError('DRIVER_UNAVAILABLE', message, { cause: error });
  }
  const reason = /exceeded quota/i.test(error.message) ? 'SHIP_START_FAILED' : 'DRIVER_REFUSED';
  return new StatusError(reason, message, { cause: error });
}
