import { REASONS, type Reason, type ReasonCodes } from './reasons.js';

/** Facts about a failure that programs read; JSON values only. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | readonly unknown[] | object>>;

/**
 * The one error class. Thrown where the fact is known; the edge turns it into a gRPC status or an HTTP answer.
 * `cause` stays in the process: it goes to the log, never over the wire.
 */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly reason: Reason;
  readonly details: ErrorDetails;

  constructor(reason: Reason, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.details = options.details ?? {};
  }

  get codes(): ReasonCodes {
    return REASONS[this.reason];
  }

  /**
   * Whatever was thrown, as a StatusError: itself where it is one, CANCELLED for an AbortError, else INTERNAL with a
   * text that says nothing of the inside. Judged by name and not by `instanceof`, which fails across Jest realms.
   */
  static from(thrown: unknown): StatusError {
    if (isStatusError(thrown)) return thrown;
    if (isNamed(thrown, 'AbortError')) {
      const reason = thrown.cause;
      return isStatusError(reason) ? reason : new StatusError('CANCELLED', 'the call was cancelled', { cause: thrown });
    }
    return new StatusError('INTERNAL', 'internal error', { cause: thrown });
  }
}

/** Judges errors of the platform, which are not instances of this realm's Error under Jest. */
export function isNamed(value: unknown, name: string): value is { readonly name: string; readonly cause?: unknown } {
  return typeof value === 'object' && value !== null && 'name' in value && value.name === name;
}

export function isStatusError(value: unknown): value is StatusError {
  return value instanceof Error && value.name === 'StatusError' && 'reason' in value && 'details' in value;
}
