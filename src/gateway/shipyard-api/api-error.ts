/** The answers of the documented routes that are not a success: `{"detail": text}`, or a list under `detail` for 422. */
import { validationBody, type ValidationItem } from './json/validation.js';

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON to send. */
  readonly body: string;

  constructor(status: number, detail: string, options: ApiErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.headers = options.headers ?? {};
    this.body = options.body ?? JSON.stringify({ detail });
  }

  static validation(errors: readonly ValidationItem[]): ApiError {
    return new ApiError(422, 'validation failed', { body: validationBody(errors) });
  }

  /** What the original's Ship would have answered to Bay, as Bay quotes it. */
  static fromShip(status: number, shipStatus: number, shipBody: string, cause?: unknown): ApiError {
    return new ApiError(status, `Ship returned ${shipStatus}: ${shipBody}`, { cause });
  }
}

interface ApiErrorOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly cause?: unknown;
}

/** Ship's own error body. */
export function shipDetail(detail: string): string {
  return JSON.stringify({ detail });
}
