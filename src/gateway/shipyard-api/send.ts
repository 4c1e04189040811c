/** Answers of the documented routes: JSON as FastAPI writes it, whole or in pieces. */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { ApiError } from './api-error.js';

/** @param json whole; or its pieces, where a failure between them breaks the connection, since the status is out */
export function sendJson(reply: FastifyReply, status: number, json: string | AsyncIterable<string>): FastifyReply {
  // As bytes: Fastify adds a charset to JSON that is sent as text, which the original does not.
  const payload = typeof json === 'string' ? Buffer.from(json) : Readable.from(json, { objectMode: false });
  return reply.code(status).header('content-type', 'application/json').send(payload);
}

export function sendApiError(reply: FastifyReply, error: ApiError): FastifyReply {
  reply.headers(error.headers);
  return sendJson(reply, error.status, error.body);
}
