import type { FastifyInstance } from 'fastify';

const METHODS = 'GET, POST, PUT, DELETE';
const EXPOSED = 'Content-Disposition, Content-Range, ETag, Retry-After, WWW-Authenticate';
const MAX_AGE_SECONDS = 600;

/**
 * Lets pages of these origins call the gateway. Without origins there is no CORS at all. `*` admits every page, but never
 * with credentials.
 */
export function registerCors(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  const named = new Set(origins.filter((origin) => origin !== '*').map((origin) => origin.replace(/\/$/, '')));
  const any = origins.includes('*');

  app.addHook('onRequest', async (request, reply) => {
    reply.header('vary', 'Origin');
    const { origin } = request.headers;
    if (origin === undefined) return;
    if (named.has(origin)) {
      reply.header('access-control-allow-origin', origin).header('access-control-allow-credentials', 'true');
    } else if (any) {
      reply.header('access-control-allow-origin', '*');
    } else {
      return;
    }
    reply.header('access-control-expose-headers', EXPOSED);
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return;
    const headers = request.headers['access-control-request-headers'];
    if (headers !== undefined) reply.header('access-control-allow-headers', headers);
    await reply
      .code(204)
      .header('access-control-allow-methods', METHODS)
      .header('access-control-max-age', String(MAX_AGE_SECONDS))
      .send();
  });
}
