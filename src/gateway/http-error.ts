/** How a failure looks over HTTP, on every route. */
import { status } from '@grpc/grpc-js';
import type { FastifyReply } from 'fastify';
import { isStatusError, StatusError, type ErrorDetails } from '../../proto/rpc/status-error.js';
import type { Reason } from '../../proto/rpc/reasons.js';

/** `detail` is what Shipyard's existing clients read; `error` is for programs. */
export interface ErrorBody {
  readonly detail: unknown;
  readonly error: {
    /** gRPC code, by name. */
    readonly code: string;
    /** HTTP status of the answer; in a stream, the one the answer would have had. */
    readonly status: number;
    readonly reason: Reason;
    readonly message: string;
    readonly details: ErrorDetails;
  };
}

/** A failure that HTTP has a status for and gRPC no code: 405, 415, 416. */
export class HttpOnlyError extends StatusError {
  readonly httpStatus: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(httpStatus: number, reason: Reason, message: string, headers: Record<string, string> = {}) {
    super(reason, message);
    this.httpStatus = httpStatus;
    this.headers = headers;
  }
}

/**
 * @param httpStatus overrides the reason's own where HTTP has a word that gRPC lacks (405, 415) and where a documented
 *   route answers with another (422)
 */
export function errorBody(error: StatusError, httpStatus: number = error.codes.http): ErrorBody {
  const code = status[error.codes.code];
  return {
    detail: error.message,
    error: { code, status: httpStatus, reason: error.reason, message: error.message, details: error.details },
  };
}

/** Headers that HTTP wants beside an error: how to authenticate, when to come again. */
export function errorHeaders(error: StatusError): Record<string, string> {
  const { http } = error.codes;
  if (http === 401) return { 'www-authenticate': 'Bearer' };
  if (http === 429 || http === 503) {
    const seconds = error.details['retry_after_seconds'];
    return { 'retry-after': String(typeof seconds === 'number' ? Math.max(1, Math.ceil(seconds)) : 1) };
  }
  return {};
}

/** Answers with whatever was thrown. What is not a StatusError is a defect of ours: it is logged, its text stays here. */
export function sendError(
  reply: FastifyReply,
  thrown: unknown,
  options: { status?: number; detail?: unknown } = {},
): FastifyReply {
  const error = StatusError.from(thrown);
  if (error.reason === 'INTERNAL' && !isStatusError(thrown)) reply.log.error({ err: thrown }, 'unexpected failure');
  const own = error instanceof HttpOnlyError ? error : undefined;
  const body = errorBody(error, options.status ?? own?.httpStatus);
  return reply
    .code(body.error.status)
    .headers({ ...errorHeaders(error), ...own?.headers })
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(options.detail === undefined ? body : { ...body, detail: options.detail }));
}
