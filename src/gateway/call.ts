/** What an HTTP request brings to a call: its end, its credential, its session. */
import type { Server } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CallOptions } from '../../proto/rpc/definition.js';
import { StatusError } from '../../proto/rpc/status-error.js';

export type HttpCall = CallOptions & { readonly signal: AbortSignal };

/** The calls that a server is answering, so that its end can reach them. */
export class OpenCalls {
  readonly #controllers = new Map<AbortController, { detachable: boolean }>();

  get size(): number {
    return this.#controllers.size;
  }

  add(controller: AbortController, call: { detachable: boolean }): void {
    this.#controllers.set(controller, call);
  }

  delete(controller: AbortController): void {
    this.#controllers.delete(controller);
  }

  /** @param which `detachable`: only the readers, who lose nothing and attach again elsewhere */
  abort(reason: StatusError, which: 'all' | 'detachable'): void {
    for (const [controller, { detachable }] of this.#controllers) {
      if (which === 'all' || detachable) controller.abort(reason);
    }
  }
}

const openCallsByServer = new WeakMap<object, OpenCalls>();

export function openCallsOf(server: Server | object): OpenCalls {
  let calls = openCallsByServer.get(server);
  if (!calls) openCallsByServer.set(server, (calls = new OpenCalls()));
  return calls;
}

/**
 * Options for a client's call that lives as long as this request. The signal aborts with CANCELLED when the caller
 * leaves before the answer is complete, and with SHUTTING_DOWN when the server's drain is over.
 *
 * @param options.detachable a reader that loses nothing when it is cut, and so need not be waited for at the server's end
 */
export function openCall(
  request: FastifyRequest,
  reply: FastifyReply,
  options: { detachable?: boolean } = {},
): HttpCall {
  const controller = new AbortController();
  const calls = openCallsOf(request.server.server);
  calls.add(controller, { detachable: options.detachable ?? false });
  const onClose = () => {
    calls.delete(controller);
    if (!reply.raw.writableFinished) controller.abort(new StatusError('CANCELLED', 'the caller left'));
  };
  if (reply.raw.destroyed) onClose();
  else reply.raw.once('close', onClose);
  const peer = `http ${request.raw.socket.remoteAddress ?? 'unknown'}:${request.raw.socket.remotePort ?? 0}`;
  return { signal: controller.signal, metadata: readMetadata(request), peer };
}

function readMetadata(request: FastifyRequest): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const name of ['authorization', 'traceparent', 'tracestate']) {
    const value = request.headers[name];
    if (typeof value === 'string') metadata[name] = value;
  }
  return metadata;
}

/**
 * The header X-SESSION-ID as text. Header values are bytes, which Node hands over as Latin-1: they are read as UTF-8, and
 * as Latin-1 where they are not that, since clients send either.
 *
 * @returns undefined where the header is missing, '' where it is empty
 * @throws StatusError INVALID_ARGUMENT where it is given more than once
 */
export function readSessionId(request: FastifyRequest): string | undefined {
  const raw = request.headers['x-session-id'];
  if (typeof raw !== 'string') return undefined;
  // Node joins repeated headers by ", "; one value may hold that too.
  if (raw.includes(',') && countHeader(request.raw.rawHeaders, 'x-session-id') > 1) {
    throw new StatusError('INVALID_ARGUMENT', 'header X-SESSION-ID is given more than once');
  }
  return decodeHeader(raw);
}

function countHeader(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((value, index) => index % 2 === 0 && value.toLowerCase() === name).length;
}

/** A header's value as text; `value` is as Node gives it, one character a byte. */
export function decodeHeader(value: string): string {
  if (/^[\x00-\x7f]*$/.test(value)) return value;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'latin1'));
  } catch {
    return value; // not UTF-8: Latin-1, which is what `value` is already
  }
}
