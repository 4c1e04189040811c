/** A port that takes gRPC, with TLS or without, and mux on bare sockets beside it. */
import type { Server, ServerCredentials } from '@grpc/grpc-js';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { acceptSocket } from './mux/accept-socket.js';
import { SOCKET_BUFFER_BYTES } from './mux/socket-link.js';
import { toPeer, type Unproven } from './unproven.js';

/** Who dialled, and with which metadata of Connect. */
export interface Dialer {
  readonly metadata: Readonly<Record<string, string>>;
  readonly peer: string;
  /** For whoever accepts it, where its connection is its own. */
  readonly letIn?: () => void;
}

export interface SocketListenerOptions {
  /** Takes what is not mux; it must not be bound to a port of its own. */
  readonly grpc: Server;
  readonly credentials: ServerCredentials;
  /** Holds each connection from its first moment on, until it is let in. */
  readonly unproven: Unproven;
  /** Takes mux on bare sockets, and lets it in; without it everything is gRPC. Not with TLS. */
  readonly onMux?: ((socket: Socket, dialer: Dialer) => void) | undefined;
}

export class SocketListener {
  readonly #server;

  constructor({ grpc, credentials, unproven, onMux }: SocketListenerOptions) {
    const injector = grpc.createConnectionInjector(credentials);
    const toGrpc = (socket: Socket): void => {
      // grpc-js cannot tell whose a call on a unix socket is. Who may connect is up to the file's folder.
      if (socket.remoteAddress === undefined) unproven.letIn(socket);
      injector.injectConnection(socket);
    };
    this.#server = createServer({ noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES }, (socket) => {
      unproven.hold(socket);
      if (!onMux) return toGrpc(socket);
      acceptSocket(socket, {
        mux: (accepted, metadata) =>
          onMux(accepted, { metadata, peer: toPeer(accepted), letIn: () => unproven.letIn(accepted) }),
        other: toGrpc,
      });
    });
  }

  /**
   * @param address "host:port", ":port" on every address, or "unix:/path"
   * @returns the port; 0 for a unix socket
   * @throws Error with `code: 'EADDRINUSE'` where the address is taken
   */
  listen(address: string): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(listenError(address, error)));
      server.listen(toTarget(address), () => resolve((server.address() as AddressInfo | null)?.port ?? 0));
    });
  }

  /** Takes no new connections; those that are there are others' to end. */
  close(): void {
    this.#server.close();
  }
}

function toTarget(address: string): { path: string } | { host?: string; port: number } {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return { ...(host === '' ? {} : { host }), port: Number(address.slice(colon + 1)) };
}

function listenError(address: string, cause: Error): Error {
  if (cause.message.includes('EADDRINUSE')) {
    return Object.assign(new Error(`${address} is in use`, { cause }), { code: 'EADDRINUSE' });
  }
  return new Error(`cannot listen on ${address}: ${cause.message}`, { cause });
}
