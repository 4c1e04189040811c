/** Dials a MuxConnection to a server's MuxService.Connect. */
import { Client, credentials as grpcCredentials, type ChannelCredentials } from '@grpc/grpc-js';
import type { Hello } from '../../gen/shipyard/mux/v1/mux.js';
import { MuxServiceDefinition } from '../../gen/shipyard/mux/v1/mux.js';
import { abandonable } from '../abandonable.js';
import { abortReason } from '../call.js';
import { identity, toChannelOptions, toMetadata } from '../grpc-common.js';
import { linkLost } from '../link-lost.js';
import type { Router } from '../router.js';
import { toService } from '../service.js';
import type { StatusError } from '../status-error.js';
import { DialledLink } from './grpc-link.js';
import { MuxConnection, type MuxConnectionOptions, type OwnHello } from './mux-connection.js';

export interface DialMuxOptions {
  /** Goes as `authorization: Bearer …` with Connect, and holds for every call that brings none of its own. */
  readonly token?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly hello?: OwnHello;
  /** Serves the peer's calls. */
  readonly router?: Router;
  /** Default: without TLS. */
  readonly credentials?: ChannelCredentials;
  /** The name that the server's certificate must bear, where it is not the address's. */
  readonly serverName?: string;
  /** Gives the dialling up; an established connection is not touched. */
  readonly signal?: AbortSignal;
  /** Until the peer's Hello; default 10 s. */
  readonly timeoutMs?: number;
  readonly pingIntervalMs?: number;
  readonly deadAfterMs?: number;
}

export interface MuxLink {
  /** A Transport; ended with goAway() or close(). */
  readonly connection: MuxConnection;
  /** The peer's. */
  readonly hello: Hello;
  /** Why it ended, once it has. Never rejects. */
  readonly closed: Promise<StatusError>;
}

const DIAL_TIMEOUT_MS = 10_000;

const connectPath = toService(MuxServiceDefinition).methods[0]?.path as string;

/**
 * Answers when the peer's Hello is in. One attempt: who needs the peer dials again.
 *
 * @param address "host:port" or "unix:/path"
 * @throws StatusError what the peer refused with (TOKEN_INVALID, PROTOCOL_UNSUPPORTED, …); SHIP_UNREACHABLE, of which
 *   isLinkLost() is true, where nobody answered; the signal's reason
 */
export async function dialMux(address: string, options: DialMuxOptions = {}): Promise<MuxLink> {
  const { signal } = options;
  if (signal?.aborted) throw abortReason(signal);
  const client = new Client(
    address,
    abandonable(options.credentials ?? grpcCredentials.createInsecure()),
    toChannelOptions(options.serverName),
  );
  const call = client.makeBidiStreamRequest(connectPath, identity, identity, toMetadata(withToken(options)), {});
  const connection = new MuxConnection(new DialledLink(call), asDialer(address, options));
  void connection.closed.then(() => client.close());
  return untilHello(connection, address, options);
}

export function asDialer(address: string, options: DialMuxOptions): MuxConnectionOptions {
  return {
    role: 'dialer',
    peer: `mux ${address}`,
    ...(options.hello && { hello: options.hello }),
    ...(options.router && { router: options.router }),
    ...(options.pingIntervalMs !== undefined && { pingIntervalMs: options.pingIntervalMs }),
    ...(options.deadAfterMs !== undefined && { deadAfterMs: options.deadAfterMs }),
  };
}

/** What Connect carries. */
export function withToken({ metadata, token }: DialMuxOptions): Readonly<Record<string, string>> {
  return token === undefined ? { ...metadata } : { ...metadata, authorization: `Bearer ${token}` };
}

/** A new connection's link, once its peer's Hello is in; whoever dialled may give up until then. */
export async function untilHello(
  connection: MuxConnection,
  address: string,
  { signal, timeoutMs = DIAL_TIMEOUT_MS }: DialMuxOptions,
): Promise<MuxLink> {
  const timer = setTimeout(
    () => connection.close(linkLost(`${address} did not answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const onAbort = (): void => connection.close(abortReason(signal as AbortSignal));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return { connection, hello: await connection.ready, closed: connection.closed };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
