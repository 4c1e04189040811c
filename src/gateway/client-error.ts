import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { StatusError } from '../../proto/rpc/status-error.js';
import { errorBody } from './http-error.js';

/** Answers what Node's parser could not read as a request, on the bare socket, and closes the connection. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, text] = explain(error.code);
  const body = JSON.stringify(errorBody(new StatusError('INVALID_ARGUMENT', text), status));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroySoon();
}

function explain(code: string | undefined): [status: number, text: string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'the headers are too large'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'the request did not come in time'];
  return [400, 'not an HTTP request'];
}
