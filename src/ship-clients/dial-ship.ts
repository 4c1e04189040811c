import { credentials as grpcCredentials, type ChannelCredentials } from '@grpc/grpc-js';
import type { Hello } from '../../proto/gen/shipyard/mux/v1/mux.js';
import type { Transport } from '../../proto/rpc/client.js';
import { openGrpcChannel } from '../../proto/rpc/grpc-client.js';
import { dialSocket } from '../../proto/rpc/mux/dial-socket.js';
import type { SocketTarget } from '../../proto/rpc/mux/socket-link.js';
import { dialMux, type MuxLink } from '../../proto/rpc/mux/mux-grpc.js';
import type { StatusError } from '../../proto/rpc/status-error.js';
import type { Endpoint } from '../drivers/driver.js';
import { FileChannel, type Connection } from './file-channel.js';

/** One mux connection to a ship's agent; it carries every call but the streams of files. */
export interface DialledShip {
  readonly hello: Hello;
  readonly transport: Transport;
  /** Why the connection ended, once it has. Never rejects. */
  readonly closed: Promise<StatusError>;
  close(): void;
}

export interface DialOptions {
  readonly token: string;
  readonly signal: AbortSignal;
  /** Bounds the wait for Hello. */
  readonly timeoutMs: number;
}

/** How Bay reaches agents; an interface so that what is built on it can be tested over anything. */
export interface ShipDialer {
  dial(endpoint: Endpoint, options: DialOptions): Promise<DialledShip>;
  /** A connection of its own for streams of files, so that they never hold up small calls. Connects when it is used. */
  openFileChannel(endpoint: Endpoint, token: string): FileChannel;
}

export const shipDialer: ShipDialer = {
  async dial(endpoint, { token, signal, timeoutMs }) {
    const { connection, hello, closed } = await dialLink(endpoint, { token, signal, timeoutMs });
    return { hello, transport: connection, closed, close: () => connection.close() };
  },
  openFileChannel: (endpoint, token) => new FileChannel(() => dialForFiles(endpoint, token)),
};

/** Over gRPC a channel, whose calls have streams of their own: a large file would crawl through the mux's one. */
async function dialForFiles(endpoint: Endpoint, token: string): Promise<Connection> {
  const link = isPlain(endpoint) ? await dialSocket(toTarget(endpoint), { token }) : undefined;
  if (link) return link.connection;
  const metadata = { authorization: `Bearer ${token}` };
  const channel = openGrpcChannel(toAddress(endpoint), { metadata, ...toTls(endpoint) });
  return Object.assign(channel, { isOpen: true }); // it dials again by itself
}

/** Without HTTP/2 between them where nobody else needs it; an agent of an earlier version speaks gRPC alone. */
async function dialLink(endpoint: Endpoint, options: DialOptions): Promise<MuxLink> {
  const link = isPlain(endpoint) ? await dialSocket(toTarget(endpoint), options) : undefined;
  return link ?? dialMux(toAddress(endpoint), { ...options, ...toTls(endpoint) });
}

function isPlain(endpoint: Endpoint): boolean {
  return endpoint.kind === 'unix' || !endpoint.tls;
}

function toTarget(endpoint: Endpoint): SocketTarget {
  return endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
}

function toAddress(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`;
  const { host, port } = endpoint;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function toTls(endpoint: Endpoint): { credentials?: ChannelCredentials; serverName?: string } {
  if (endpoint.kind === 'unix' || !endpoint.tls) return {};
  const { certPem, keyPem, caPem, serverName } = endpoint.tls;
  const [ca, key, certificate] = [caPem, keyPem, certPem].map((pem) => Buffer.from(pem));
  return { credentials: grpcCredentials.createSsl(ca, key, certificate), serverName };
}
