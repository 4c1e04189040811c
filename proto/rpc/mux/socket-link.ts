/**
 * A mux connection's frames on a bare socket, where no proxy and no gRPC library needs HTTP/2: an empty round trip takes half
 * as long as on a gRPC stream, and output is copied less.
 */
import { connect, type NetConnectOpts, type Socket, type SocketConstructorOpts } from 'node:net';
import { linkLost } from '../link-lost.js';
import { StatusError } from '../status-error.js';
import { encodeFrame, type OutgoingFrame } from './frame.js';
import type { FrameLink, FrameLinkEvents } from './frame-link.js';
import { FrameReader, toPieces, withLength } from './frame-reader.js';
import { encodeClose } from './incoming-call.js';
import { Slab } from './slab.js';

/** What each side sends first. A gRPC client begins with 'P'. */
export const PREFACE = Buffer.from('shipyard-mux/1\n');

/** What a socket takes before its writer is to wait: a few Data frames. */
export const SOCKET_BUFFER_BYTES = 256 * 1024;

/** Time for the last words to reach a peer that may not read any more. */
const LAST_WORDS_MS = 1000;
/** Time for the peer to take what is on its way, at most SOCKET_BUFFER_BYTES, and to end its direction too. */
const END_MS = 10_000;

const NOTHING = Buffer.alloc(0);

abstract class SocketLink implements FrameLink {
  protected readonly reader = new FrameReader();
  #events: FrameLinkEvents | undefined;
  #corked = false;

  constructor(protected readonly socket: Socket) {}

  start(events: FrameLinkEvents): void {
    const { socket } = this;
    const { drained, closed } = events;
    this.#events = events;
    socket.on('drain', drained);
    socket.on('error', (error) => closed(linkLost(error.message, error)));
    socket.on('end', () => closed(undefined));
    socket.on('close', () => closed(linkLost('the connection was lost')));
    socket.resume();
  }

  /** Bytes that arrived. */
  protected take(chunk: Buffer): void {
    const events = this.#events;
    if (!events) return; // what follows a failure is no frame
    try {
      this.reader.push(this.withoutPreface(chunk));
      for (let frame = this.reader.next(); frame; frame = this.reader.next()) events.received(frame);
    } catch (thrown) {
      const reason = StatusError.from(thrown);
      this.#events = undefined;
      this.destroy(reason);
      events.closed(reason);
    }
  }

  /** Frames of one callback, and of what it resolves, leave in one system call. */
  write(frame: OutgoingFrame): boolean {
    if (!this.#corked) {
      this.#corked = true;
      this.socket.cork();
      process.nextTick(this.#uncork);
    }
    let hasRoom = true;
    for (const piece of toPieces(frame)) hasRoom = this.socket.write(piece);
    return hasRoom;
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    this.socket.uncork();
  };

  end(): void {
    endWithin(this.socket, END_MS);
  }

  abstract destroy(reason: StatusError): void;

  protected abstract withoutPreface(chunk: Buffer): Buffer;
}

/** A unix socket, or a TCP port. */
export type SocketTarget = { readonly path: string } | { readonly host: string; readonly port: number };

/** The side that dials. */
export class DialledSocketLink extends SocketLink {
  readonly #metadata: Readonly<Record<string, string>>;
  #preface = NOTHING;
  #isForeign = false;

  /** @param metadata as for MuxService.Connect */
  constructor(target: SocketTarget, metadata: Readonly<Record<string, string>>) {
    const slab = new Slab();
    const options: NetConnectOpts & SocketConstructorOpts & { writableHighWaterMark: number } = {
      ...target,
      noDelay: true,
      writableHighWaterMark: SOCKET_BUFFER_BYTES,
      // Only a socket that dials can be told where to read into.
      onread: {
        buffer: () => slab.room(),
        callback: (length) => {
          this.take(slab.taken(length));
          slab.settle(this.reader);
          return true;
        },
      },
    };
    super(connect(options));
    this.#metadata = metadata;
  }

  /** Somebody answered who does not speak this: a server of gRPC alone. */
  get isForeign(): boolean {
    return this.#isForeign;
  }

  override start(events: FrameLinkEvents): void {
    super.start(events);
    this.socket.write(PREFACE);
    const value = { method: '', metadata: this.#metadata, timeoutMs: 0 };
    this.write(encodeFrame(0, { $case: 'open', value }));
  }

  destroy(): void {
    this.socket.destroy();
  }

  protected withoutPreface(chunk: Buffer): Buffer {
    if (this.#preface.length === PREFACE.length) return chunk;
    const start = Buffer.concat([this.#preface, chunk]);
    this.#preface = start.subarray(0, PREFACE.length);
    if (!startsLikePreface(start)) {
      this.#isForeign = true;
      throw linkLost('the peer does not speak mux on a bare socket');
    }
    return start.subarray(this.#preface.length);
  }
}

/** The side that was dialled, from behind the prefaces and Open. */
export class AcceptedSocketLink extends SocketLink {
  override start(events: FrameLinkEvents): void {
    this.socket.on('data', (chunk: Buffer) => this.take(chunk));
    super.start(events);
  }

  destroy(reason: StatusError): void {
    refuse(this.socket, reason);
  }

  protected withoutPreface(chunk: Buffer): Buffer {
    return chunk;
  }
}

/** Whether bytes, as far as they came, are the preface and what follows it. */
export function startsLikePreface(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, PREFACE.length);
  return bytes.compare(PREFACE, 0, length, 0, length) === 0;
}

/** Ends a connection from the side that was dialled, and tells why. */
export function refuse(socket: Socket, reason: StatusError): void {
  if (socket.destroyed || socket.writableEnded) return;
  socket.write(withLength(encodeClose(0, reason)));
  endWithin(socket, LAST_WORDS_MS);
}

function endWithin(socket: Socket, ms: number): void {
  if (socket.destroyed || socket.writableEnded) return;
  socket.end();
  const timer = setTimeout(() => socket.destroy(), ms).unref();
  socket.once('close', () => clearTimeout(timer));
}
