/**
 * Connections of a port that have not shown who they are. Whoever reaches the port can make any number of them, and code in
 * a ship reaches its agent's; so that they cost the server little, each has a few seconds and only a few are held.
 */
import type { Socket } from 'node:net';

/** To be let in. A dialer with the token sends it with the connection, or right behind the TLS handshake. */
const PROVE_TIMEOUT_MS = 5_000;
/** Of these, one more costs another its place. */
export const MAX_UNPROVEN = 64;

interface Held {
  /** As grpc-js names it; kept, since a socket that is closed has forgotten it. */
  readonly peer: string;
  /** Where the connection comes from. */
  readonly origin: string;
  readonly timer: NodeJS.Timeout;
}

export class Unproven {
  /** The oldest first. */
  readonly #held = new Map<Socket, Held>();

  get size(): number {
    return this.#held.size;
  }

  /**
   * Until it is let in, or closed. Where too many are held already, the oldest of the origin that holds most is ended: a
   * flood drives out its own, and not a dialer who comes from elsewhere.
   */
  hold(socket: Socket): void {
    if (this.#held.size >= MAX_UNPROVEN) this.#endOne();
    const timer = setTimeout(() => this.#end(socket), PROVE_TIMEOUT_MS);
    this.#held.set(socket, { peer: toPeer(socket), origin: toOrigin(socket), timer });
    socket.once('close', () => this.letIn(socket));
  }

  /** The connection that a gRPC call came over, if it is one of these. */
  find(peer: string): Socket | undefined {
    for (const [socket, held] of this.#held) if (held.peer === peer) return socket;
    return undefined;
  }

  /** It has proven itself, and is its server's own affair from here on. */
  letIn(socket: Socket): void {
    clearTimeout(this.#held.get(socket)?.timer);
    this.#held.delete(socket);
  }

  /** It may stay without proof for as long as there is room. */
  tolerate(socket: Socket): void {
    clearTimeout(this.#held.get(socket)?.timer);
  }

  #endOne(): void {
    const oldest = new Map<string, Socket>();
    const counts = new Map<string, number>();
    for (const [socket, { origin }] of this.#held) {
      if (!oldest.has(origin)) oldest.set(origin, socket);
      counts.set(origin, (counts.get(origin) ?? 0) + 1);
    }
    const [most] = [...counts].reduce((one, other) => (other[1] > one[1] ? other : one));
    this.#end(oldest.get(most) as Socket);
  }

  #end(socket: Socket): void {
    this.letIn(socket);
    socket.destroy();
  }
}

/** "address:port", as grpc-js names a call's peer. */
export function toPeer({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? 'unix' : `${remoteAddress}:${remotePort}`;
}

/** All of 127.0.0.0/8 is one: any process may dial from any of its addresses. */
function toOrigin({ remoteAddress = '' }: Socket): string {
  return /^(::ffff:)?127\.|^::1$/.test(remoteAddress) ? 'loopback' : remoteAddress;
}
