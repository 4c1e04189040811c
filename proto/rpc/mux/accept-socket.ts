/** What arrives at a server's port: mux on a bare socket, told apart from gRPC by its first bytes. */
import type { Socket } from 'node:net';
import { isStatusError, StatusError } from '../status-error.js';
import { decodeFrame } from './frame.js';
import { FrameReader } from './frame-reader.js';
import { PREFACE, refuse, startsLikePreface } from './socket-link.js';

/** An Open carries a token, and little more: who has not shown it fills no memory. */
export const MAX_OPEN_BYTES = 16 * 1024;

export interface SocketHandlers {
  /** A connection whose Open is in: `metadata` is that of MuxService.Connect. Its frames wait in the socket. */
  mux(socket: Socket, metadata: Readonly<Record<string, string>>): void;
  /** Everything else, with all of its bytes. */
  other(socket: Socket): void;
}

/**
 * Looks at the first bytes of a connection, and hands it on. One that says nothing sensible is ended; one that says nothing
 * is for the caller to end.
 */
export function acceptSocket(socket: Socket, handlers: SocketHandlers): void {
  let head = Buffer.alloc(0);
  const ignore = (): void => undefined; // 'close' follows
  const settle = (rest: Buffer): void => {
    socket.off('data', onData).pause();
    if (rest.length > 0) socket.unshift(rest);
  };
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
      refuse(socket, isStatusError(thrown) ? thrown : malformed(thrown));
    }
  };
  socket.on('data', onData).on('error', ignore);
}

function malformed(cause: unknown): StatusError {
  return new StatusError('INVALID_ARGUMENT', 'malformed beginning of a connection', { cause });
}

/** @throws Error where the first frame is not Open; StatusError TOO_LARGE */
function readOpen(head: Buffer): { metadata: Readonly<Record<string, string>>; rest: Buffer } | undefined {
  const reader = new FrameReader(MAX_OPEN_BYTES);
  reader.push(head.subarray(PREFACE.length));
  const first = reader.next();
  if (!first) return undefined;
  const { callId, body } = decodeFrame(first);
  if (callId !== 0 || body?.$case !== 'open') throw new Error('the first frame is not Open');
  return { metadata: body.value.metadata, rest: reader.rest() };
}
