/**
 * A gRPC server for a router: every method as a call of its own, and MuxService.Connect for any number of them over one
 * stream. Bay serves clients with it, Ship serves Bay.
 */
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { MuxServiceDefinition } from '../gen/shipyard/mux/v1/mux.js';
import { fromMetadata, KEEPALIVE_MS, MAX_RECEIVED_BYTES } from './grpc-common.js';
import { toGrpcDefinition, toGrpcHandlers, toPeer } from './grpc-handlers.js';
import { proveByCalls, type Authenticate } from './prove-calls.js';
import { prepareUnixSocket } from './unix-socket.js';
import type { FrameLink } from './mux/frame-link.js';
import { AcceptedLink } from './mux/grpc-link.js';
import { MuxConnection, type OwnHello } from './mux/mux-connection.js';
import { AcceptedSocketLink } from './mux/socket-link.js';
import type { Router } from './router.js';
import { toService } from './service.js';
import { SocketListener, type Dialer } from './socket-listener.js';
import { StatusError } from './status-error.js';
import { Unproven } from './unproven.js';
import { widenServerWindow } from './window.js';

export interface MuxServerOptions {
  /** What this side says of itself on every connection. */
  readonly hello?: () => OwnHello;
  /**
   * Takes connections on bare sockets too (dialSocket), on the same port, told apart by their first bytes. Not with TLS.
   */
  readonly sockets?: boolean;
  /** For callers that want to call back, or to count. */
  readonly onConnection?: (connection: MuxConnection) => void;
}

export interface RpcServerOptions {
  /** "host:port", port 0 for any; ":port" on every address; or "unix:/path". */
  readonly address: string;
  /** Closed by stop(), and aborted where its calls outlast the drain. */
  readonly router: Router;
  /**
   * Decides who may connect: by the metadata of Connect (`authorization`), or by that of a gRPC connection's first call.
   * Without it everybody may: calls are then judged one by one, by the router's interceptors.
   */
  readonly authenticate?: Authenticate;
  readonly mux?: MuxServerOptions;
  /** Default: without TLS. */
  readonly credentials?: ServerCredentials;
  /** Adds services that are not of the router, and open to everybody: health, reflection. */
  readonly extend?: (server: Server) => void;
}

export interface RpcServer {
  /** The port it listens on; 0 for a unix socket. */
  readonly port: number;
  /** As given, with the port that was bound. */
  readonly address: string;
  readonly connections: ReadonlySet<MuxConnection>;
  /** Takes no new calls, lets open ones run for at most `drainMs`, then aborts them and closes everything. */
  stop(options: { readonly drainMs: number }): Promise<void>;
}

const MUX_SERVICE = toService(MuxServiceDefinition);
const CONNECT_PATH = MUX_SERVICE.methods[0]?.path;

/** Calls at once on one HTTP/2 connection; further ones wait at the caller. */
const MAX_CONCURRENT_STREAMS = 1024;

/** Time for the statuses of aborted calls to reach their callers. */
const FLUSH_MS = 250;

/** @throws Error with `code: 'EADDRINUSE'` where the address is taken */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { router, mux, authenticate } = options;
  const connections = new Set<MuxConnection>();
  const unproven = new Unproven();
  const isOpen = (path: string): boolean => !router.routes.has(path) && path !== CONNECT_PATH;
  const server = new Server({
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': MAX_RECEIVED_BYTES,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    'grpc.enable_channelz': 0,
    // Node stops reading a connection whose client has cancelled too much, and would keep it open for ever.
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_MS,
    interceptors: [proveByCalls(unproven, { authenticate, isOpen })],
  });
  widenServerWindow(server);
  for (const service of router.services) server.addService(toGrpcDefinition(service), toGrpcHandlers(service, router));
  const accept = (link: FrameLink, dialer: Dialer): void =>
    void serveMux(link, dialer, { router, authenticate, mux: mux ?? {}, connections });
  if (mux) {
    const connect = (surface: ServerDuplexStream<Buffer, Buffer>): void => {
      accept(new AcceptedLink(surface), { metadata: fromMetadata(surface.metadata), peer: toPeer(surface) });
    };
    server.addService(toGrpcDefinition(MUX_SERVICE), { connect });
  }
  options.extend?.(server);

  const { address } = options;
  if (address.startsWith('unix:')) await prepareUnixSocket(address.slice('unix:'.length));
  const credentials = options.credentials ?? ServerCredentials.createInsecure();
  const takesMux = mux?.sockets && !options.credentials;
  const listener = new SocketListener({
    grpc: server,
    credentials,
    unproven,
    onMux: takesMux ? (socket, dialer) => accept(new AcceptedSocketLink(socket), dialer) : undefined,
  });
  const port = await listener.listen(address);
  let stopped: Promise<void> | undefined;
  return {
    port: address.startsWith('unix:') ? 0 : port,
    address: address.startsWith('unix:') ? address : address.replace(/:\d+$/, `:${port}`),
    connections,
    stop: ({ drainMs }) => (stopped ??= stop(server, listener, router, connections, drainMs)),
  };
}

interface MuxEnd extends Pick<RpcServerOptions, 'router' | 'authenticate'> {
  readonly mux: MuxServerOptions;
  readonly connections: Set<MuxConnection>;
}

async function serveMux(link: FrameLink, { metadata, peer, letIn }: Dialer, end: MuxEnd): Promise<void> {
  const { router, authenticate, mux, connections } = end;
  try {
    await authenticate?.(metadata, peer);
  } catch (thrown) {
    link.destroy(StatusError.from(thrown));
    return;
  }
  letIn?.();
  const { authorization } = metadata;
  const connection = new MuxConnection(link, {
    role: 'acceptor',
    hello: mux.hello?.() ?? {},
    router,
    peer: `mux ${peer}`,
    ...(authorization === undefined ? {} : { metadata: { authorization } }),
  });
  connections.add(connection);
  mux.onConnection?.(connection);
  await connection.closed;
  connections.delete(connection);
}

async function stop(
  server: Server,
  listener: SocketListener,
  router: Router,
  connections: ReadonlySet<MuxConnection>,
  drainMs: number,
): Promise<void> {
  router.close();
  listener.close();
  for (const connection of connections) connection.goAway('the server is stopping');
  const shutDown = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const drained = Promise.all([shutDown, ...[...connections].map(({ closed }) => closed)]);
  if (await within(drained, drainMs)) return;
  router.abort();
  if (await within(drained, FLUSH_MS)) return;
  for (const connection of connections) connection.close(new StatusError('SHUTTING_DOWN', 'the server is stopping'));
  await within(drained, FLUSH_MS);
  server.forceShutdown();
}

/** @returns whether it was done in time */
async function within(done: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(resolve, ms, false)));
  const inTime = await Promise.race([done.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}
