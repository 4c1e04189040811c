/**
 * A StatusError on the wire and back: gRPC code, text, and a serialized google.rpc.Status with
 * ErrorInfo{reason, domain: "shipyard", metadata}. Over gRPC it travels as grpc-status-details-bin, over mux in Close.
 */
import { ErrorInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { REASONS, type Reason } from './reasons.js';
import { status } from './status-code.js';
import { StatusError, type ErrorDetails } from './status-error.js';

export interface WireStatus {
  readonly code: number;
  readonly message: string;
  /** A serialized google.rpc.Status. */
  readonly details: Buffer;
}

const DOMAIN = 'shipyard';
const ERROR_INFO_URL = 'type.googleapis.com/google.rpc.ErrorInfo';

/** Characters of a message that cross the wire; the whole text is in the log of the side that threw. */
const MAX_MESSAGE_LENGTH = 2048;

/**
 * @param maxDetailsBytes longest first, details are left out until their serialized form is no larger; generated stubs
 *   refuse response headers beyond 8 KiB
 */
export function toWireStatus(error: StatusError, maxDetailsBytes: number): WireStatus {
  const { code } = error.codes;
  const message =
    error.message.length > MAX_MESSAGE_LENGTH ? `${error.message.slice(0, MAX_MESSAGE_LENGTH)}…` : error.message;
  const entries = Object.entries(error.details).map(([key, value]) => [key, toMetadataValue(value)] as const);
  entries.sort((a, b) => a[1].length - b[1].length);
  for (;;) {
    const details = encodeDetails(code, message, error.reason, Object.fromEntries(entries));
    if (details.length <= maxDetailsBytes || entries.length === 0) return { code, message, details };
    entries.pop();
  }
}

function encodeDetails(code: number, message: string, reason: Reason, metadata: Record<string, string>): Buffer {
  const info = ErrorInfo.encode({ reason, domain: DOMAIN, metadata }).finish();
  const any = { typeUrl: ERROR_INFO_URL, value: Buffer.from(info) };
  return Buffer.from(Status.encode({ code, message, details: [any] }).finish());
}

/** @returns the error as it was thrown; without our details, the reason that fits the code best */
export function fromWireStatus(code: number, message: string, details?: Uint8Array): StatusError {
  const info = details && details.length > 0 ? readErrorInfo(details) : undefined;
  if (info && info.domain === DOMAIN && isReason(info.reason)) {
    const values = Object.entries(info.metadata).map(([key, text]) => [key, fromMetadataValue(text)] as const);
    return new StatusError(info.reason, message, { details: Object.fromEntries(values) as ErrorDetails });
  }
  return new StatusError(REASON_OF_CODE[code] ?? 'INTERNAL', message);
}

function readErrorInfo(details: Uint8Array): ErrorInfo | undefined {
  try {
    const any = Status.decode(details).details.find(({ typeUrl }) => typeUrl === ERROR_INFO_URL);
    return any && ErrorInfo.decode(any.value);
  } catch {
    return undefined; // a peer's unreadable details do not hide its code and text
  }
}

function isReason(name: string): name is Reason {
  return Object.hasOwn(REASONS, name);
}

/** ErrorInfo's metadata are strings. Text stays text, unless it would be read as JSON; everything else is JSON. */
function toMetadataValue(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value) ?? 'null';
  return parseJson(value) === undefined ? value : JSON.stringify(value);
}

function fromMetadataValue(text: string): unknown {
  const parsed = parseJson(text);
  return parsed === undefined ? text : parsed.value;
}

function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** For statuses that are not ours: of grpc-js itself, of a proxy, of another implementation. */
const REASON_OF_CODE: Readonly<Record<number, Reason>> = {
  [status.CANCELLED]: 'CANCELLED',
  [status.INVALID_ARGUMENT]: 'INVALID_ARGUMENT',
  [status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [status.RESOURCE_EXHAUSTED]: 'TOO_LARGE',
  [status.UNIMPLEMENTED]: 'METHOD_UNKNOWN',
  [status.UNAVAILABLE]: 'SHIP_UNREACHABLE',
  [status.UNAUTHENTICATED]: 'TOKEN_INVALID',
};
