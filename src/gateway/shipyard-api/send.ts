/** Answers of the documented routes: JSON as FastAPI writes it, whole or in pieces. */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { ApiError } from './api-error.js';

/** Keeps Fastify from adding a charset to the content type, which the original does not give. */
const asItIs = (payload: unknown): string => payload as string;

/** @param json whole; or its pieces, where a failure between them breaks the connection, since the status is out */
export function sendJson(reply: FastifyReply, status: number, json: string | AsyncIterable<string>): FastifyReply {
  const payload = typeof json === 'string' ? json : Readable.from(json, { objectMode: false });
  return reply.code(status).header('content-type', 'application/json').serializer(asItIs).send(payload);
}

export function sendApiError(reply: FastifyReply, error: ApiError): FastifyReply {
  reply.headers(error.headers);
  return sendJson(reply, error.status, error.body);
}
