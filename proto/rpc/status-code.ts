import type { status as GrpcStatus } from '@grpc/grpc-js';

/**
 * gRPC's status codes, as grpc-js has them. Loading that takes an agent 13 ms, and the sandbox of its first session is to
 * be on its way before: what is needed by then takes them from here.
 */
export const status: { readonly [Name in keyof typeof GrpcStatus]: (typeof GrpcStatus)[Name] } = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
};
