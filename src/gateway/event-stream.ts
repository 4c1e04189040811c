/** The two forms of a streamed answer: lines of JSON, and server-sent events. */
import type { FastifyRequest } from 'fastify';
import type { ErrorBody } from './http-error.js';

export interface StreamItem {
  readonly json: string;
  /** Resumes after this item; undefined where the stream cannot be resumed. */
  readonly id?: number;
  readonly kind?: string;
}

export interface StreamFormat {
  readonly contentType: string;
  item(item: StreamItem): string;
  /** A failure after the head was sent: always last. */
  failure(body: ErrorBody): string;
  /** Shows that the connection lives; readers skip it. */
  readonly keepAlive: string;
}

const ndjson: StreamFormat = {
  contentType: 'application/x-ndjson',
  item: ({ json }) => `${json}\n`,
  failure: ({ error }) => `${JSON.stringify({ error })}\n`,
  keepAlive: '\n',
};

const sse: StreamFormat = {
  contentType: 'text/event-stream; charset=utf-8',
  item({ json, id, kind }) {
    const head = `${id === undefined ? '' : `id: ${id}\n`}${kind === undefined ? '' : `event: ${kind}\n`}`;
    return `${head}data: ${json}\n\n`;
  },
  failure: ({ error }) => `event: error\ndata: ${JSON.stringify({ error })}\n\n`,
  keepAlive: ':\n\n',
};

/** Server-sent events where the client accepts them by name, else lines of JSON. */
export function chooseFormat(request: FastifyRequest): StreamFormat {
  const accepted = (request.headers.accept ?? '').toLowerCase().split(',');
  const wantsEvents = accepted.some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    return type === 'text/event-stream' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
  return wantsEvents ? sse : ndjson;
}
