import type { status as Status } from '@grpc/grpc-js';
import type { Reason as ProtoReason } from '../gen/shipyard/errors/v1/errors.js';
import { status } from './status-code.js';

/** Why a call failed: the names of shipyard.errors.v1.Reason. */
export type Reason = Exclude<keyof typeof ProtoReason, 'UNSPECIFIED'>;

export interface ReasonCodes {
  readonly code: Status;
  readonly http: number;
}

/** The one table from reason to gRPC code and HTTP status; the proto's comments say the same to people. */
export const REASONS: Readonly<Record<Reason, ReasonCodes>> = {
  INVALID_ARGUMENT: { code: status.INVALID_ARGUMENT, http: 400 },
  TOKEN_MISSING: { code: status.UNAUTHENTICATED, http: 403 },
  TOKEN_INVALID: { code: status.UNAUTHENTICATED, http: 401 },
  METHOD_UNKNOWN: { code: status.UNIMPLEMENTED, http: 404 },
  DEADLINE_EXCEEDED: { code: status.DEADLINE_EXCEEDED, http: 504 },
  CANCELLED: { code: status.CANCELLED, http: 499 },
  INTERNAL: { code: status.INTERNAL, http: 500 },
  SHUTTING_DOWN: { code: status.UNAVAILABLE, http: 503 },
  TOO_LARGE: { code: status.RESOURCE_EXHAUSTED, http: 413 },
  PROTOCOL_UNSUPPORTED: { code: status.FAILED_PRECONDITION, http: 400 },
  TOO_MANY_CALLS: { code: status.RESOURCE_EXHAUSTED, http: 429 },
  SHIP_NOT_FOUND: { code: status.NOT_FOUND, http: 404 },
  SHIP_NOT_RUNNING: { code: status.FAILED_PRECONDITION, http: 409 },
  SHIP_UNREACHABLE: { code: status.UNAVAILABLE, http: 503 },
  SHIP_LIMIT_REACHED: { code: status.RESOURCE_EXHAUSTED, http: 429 },
  SHIP_WAIT_TIMEOUT: { code: status.DEADLINE_EXCEEDED, http: 408 },
  SHIP_START_FAILED: { code: status.UNAVAILABLE, http: 503 },
  DRIVER_UNAVAILABLE: { code: status.UNAVAILABLE, http: 503 },
  DRIVER_REFUSED: { code: status.FAILED_PRECONDITION, http: 500 },
  SESSION_NOT_BOUND: { code: status.PERMISSION_DENIED, http: 403 },
  FENCED: { code: status.ABORTED, http: 409 },
  SESSION_LIMIT_REACHED: { code: status.RESOURCE_EXHAUSTED, http: 429 },
  EXECUTION_NOT_FOUND: { code: status.NOT_FOUND, http: 404 },
  EXECUTION_ID_REUSED: { code: status.ALREADY_EXISTS, http: 409 },
  EXECUTION_ENDED: { code: status.FAILED_PRECONDITION, http: 409 },
  EXECUTION_LOG_EXPIRED: { code: status.FAILED_PRECONDITION, http: 410 },
  LOG_TRUNCATED: { code: status.OUT_OF_RANGE, http: 410 },
  SESSION_QUEUE_FULL: { code: status.RESOURCE_EXHAUSTED, http: 429 },
  KERNEL_STATE_LOST: { code: status.FAILED_PRECONDITION, http: 409 },
  INPUT_GAP: { code: status.OUT_OF_RANGE, http: 409 },
  INPUT_ANSWERED: { code: status.FAILED_PRECONDITION, http: 409 },
  CONTROL_UNSUPPORTED: { code: status.FAILED_PRECONDITION, http: 409 },
  KERNEL_NOT_FOUND: { code: status.NOT_FOUND, http: 404 },
  KERNEL_START_FAILED: { code: status.UNAVAILABLE, http: 503 },
  FILE_NOT_FOUND: { code: status.NOT_FOUND, http: 404 },
  PATH_OUTSIDE_WORKSPACE: { code: status.PERMISSION_DENIED, http: 403 },
  PATH_WRONG_KIND: { code: status.FAILED_PRECONDITION, http: 400 },
  EDIT_FAILED: { code: status.FAILED_PRECONDITION, http: 400 },
  ENCODING_FAILED: { code: status.FAILED_PRECONDITION, http: 400 },
  DISK_FULL: { code: status.RESOURCE_EXHAUSTED, http: 507 },
  FILE_OPERATION_FAILED: { code: status.FAILED_PRECONDITION, http: 400 },
};
