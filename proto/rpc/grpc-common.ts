/** What both sides of the grpc-js binding share: metadata, statuses and channel options. */
import { logVerbosity, Metadata, setLogVerbosity, status, type ChannelOptions, type ServiceError } from '@grpc/grpc-js';
import { linkLost } from './link-lost.js';
import { StatusError } from './status-error.js';
import { FLOW_CONTROL_WINDOW_BYTES } from './window.js';
import { fromWireStatus, toWireStatus } from './wire-status.js';

// grpc-js writes lines of its own to standard error; whatever they say reaches us as an error too, and goes to our log.
if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);

const DETAILS_KEY = 'grpc-status-details-bin';

/** Base64 of it still fits beside the message into the 8 KiB of headers that generated stubs accept. */
const MAX_DETAILS_BYTES = 4 * 1024;

/** Between two signs of life on a connection, and how long one may take. */
export const KEEPALIVE_MS = 10_000;

/** A message of 16 MiB, as over the mux, with room for the frame around it. */
export const MAX_RECEIVED_BYTES = 17 * 1024 * 1024;

/**
 * An own channel is an own HTTP/2 connection; a retry might run something twice; what is dialled is a neighbour, never
 * behind the proxy of the environment.
 */
const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
  'grpc.max_send_message_length': -1,
  'grpc.max_receive_message_length': MAX_RECEIVED_BYTES,
  // A peer that vanished without a word would otherwise hold a transfer for ever.
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_MS,
  'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
};

/** @param serverName what the server's certificate must bear; default: the host of the address */
export function toChannelOptions(serverName: string | undefined): ChannelOptions {
  return serverName === undefined
    ? CHANNEL_OPTIONS
    : { ...CHANNEL_OPTIONS, 'grpc.ssl_target_name_override': serverName };
}

export const identity = (bytes: Buffer): Buffer => bytes;

export function toMetadata(values: Readonly<Record<string, string>> | undefined): Metadata {
  const metadata = new Metadata();
  for (const key in values) metadata.set(key, values[key] as string);
  return metadata;
}

/** The first value of each key; binary ones are left out. */
export function fromMetadata(metadata: Metadata): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  const map = metadata.getMap();
  for (const key in map) {
    const value = map[key];
    if (typeof value === 'string') values[key] = value;
  }
  return values;
}

/** As grpc-js handlers report a failure. */
export function toServiceError(
  thrown: unknown,
): Pick<ServiceError, 'code' | 'details' | 'metadata' | 'name' | 'message'> {
  const { code, message, details } = toWireStatus(StatusError.from(thrown), MAX_DETAILS_BYTES);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, details);
  return { name: 'StatusError', message, code, details: message, metadata };
}

/** A failure that grpc-js reports to a caller that did not cancel: the peer's own, or the loss of the link. */
export function fromServiceError(error: ServiceError): StatusError {
  const details = error.metadata?.get(DETAILS_KEY)[0];
  if (details instanceof Buffer && details.length > 0) return fromWireStatus(error.code, error.details, details);
  if (typeof error.details !== 'string') return linkLost(error.message, error); // of the stream, not of the call
  const broken =
    error.code === status.UNAVAILABLE ||
    error.code === status.CANCELLED ||
    (error.code === status.INTERNAL && error.details.includes('RST_STREAM'));
  return broken ? linkLost(error.details, error) : fromWireStatus(error.code, error.details);
}
