/** A port that takes gRPC, and mux on bare sockets beside it. */
import { ServerCredentials, type Server } from '@grpc/grpc-js';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { acceptSocket } from './mux/accept-socket.js';
import { SOCKET_BUFFER_BYTES } from './mux/socket-link.js';

/** Who dialled, and with which metadata of Connect. */
export interface Dialer {
  readonly metadata: Readonly<Record<string, string>>;
  readonly peer: string;
}

export class SocketListener {
  readonly #server;

  /** @param grpc takes what is not mux; it must not be bound to a port of its own */
  constructor(grpc: Server, onMux: (socket: Socket, dialer: Dialer) => void) {
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    this.#server = createServer({ noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES }, (socket) =>
      acceptSocket(socket, {
        mux: (accepted, metadata) => onMux(accepted, { metadata, peer: toPeer(accepted) }),
        other: (accepted) => injector.injectConnection(accepted),
      }),
    );
  }

  /**
   * @param address "host:port", or "unix:/path"
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

function toTarget(address: string): { path: string } | { host: string; port: number } {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

function toPeer({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? 'unix' : `${remoteAddress}:${remotePort}`;
}

export function listenError(address: string, cause: Error): Error {
  if (cause.message.includes('EADDRINUSE')) {
    return Object.assign(new Error(`${address} is in use`, { cause }), { code: 'EADDRINUSE' });
  }
  return new Error(`cannot listen on ${address}: ${cause.message}`, { cause });
}
