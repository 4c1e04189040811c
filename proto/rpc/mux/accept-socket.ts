/** What arrives at a server's port: mux on a bare socket, told apart from gRPC by its first bytes. */
import type { Socket } from 'node:net';
import { StatusError } from '../status-error.js';
import { decodeFrame } from './frame.js';
import { FrameReader } from './frame-reader.js';
import { PREFACE, refuse, startsLikePreface } from './socket-link.js';

/** A dialer sends its preface and its Open with the connection. */
const OPEN_TIMEOUT_MS = 5_000;

export interface SocketHandlers {
  /** A connection whose Open is in: `metadata` is that of MuxService.Connect. Its frames wait in the socket. */
  mux(socket: Socket, metadata: Readonly<Record<string, string>>): void;
  /** Everything else, with all of its bytes. */
  other(socket: Socket): void;
}

/** Looks at the first bytes of a connection, and hands it on. One that says nothing, or nothing sensible, is ended. */
export function acceptSocket(socket: Socket, handlers: SocketHandlers): void {
  let head = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), OPEN_TIMEOUT_MS);
  const ignore = (): void => undefined; // 'close' follows
  const settle = (rest: Buffer): void => {
    clearTimeout(timer);
    socket.off('data', onData).off('close', onClose).pause();
    if (rest.length > 0) socket.unshift(rest);
  };
  const onClose = (): void => clearTimeout(timer);
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    if (!startsLikePreface(head)) {
      settle(head);
      socket.off('error', ignore);
      handlers.other(socket);
      return;
    }
    if (head.length < PREFACE.length) return;
    try {
      const open = readOpen(head);
      if (!open) return;
      socket.write(PREFACE);
      settle(open.rest);
      handlers.mux(socket, open.metadata);
    } catch (thrown) {
      settle(Buffer.alloc(0));
      socket.write(PREFACE);
      refuse(socket, new StatusError('INVALID_ARGUMENT', 'malformed beginning of a connection', { cause: thrown }));
    }
  };
  socket.on('data', onData).on('close', onClose).on('error', ignore);
}

/** @throws Error where the first frame is not Open */
function readOpen(head: Buffer): { metadata: Readonly<Record<string, string>>; rest: Buffer } | undefined {
  const reader = new FrameReader();
  reader.push(head.subarray(PREFACE.length));
  const first = reader.next();
  if (!first) return undefined;
  const { callId, body } = decodeFrame(first);
  if (callId !== 0 || body?.$case !== 'open') throw new Error('the first frame is not Open');
  return { metadata: body.value.metadata, rest: reader.rest() };
}
