import type { FastifyReply, FastifyRequest } from 'fastify';
import { StatusError } from '../../proto/rpc/status-error.js';
import { HttpOnlyError } from './http-error.js';
import { kindOf } from './json/violations.js';
import { allowBody, declaredLength, hasBody, readBody, tooLarge } from './request-body.js';

/**
 * The JSON object of a request's body; `{}` where it has none.
 *
 * @throws StatusError INVALID_ARGUMENT where it is not UTF-8, not JSON or no object; TOO_LARGE; HttpOnlyError 415
 */
export async function readJsonBody(
  request: FastifyRequest,
  reply: FastifyReply,
  options: { maxBytes: number; signal: AbortSignal },
): Promise<object> {
  if (!hasBody(request.raw)) return {};
  checkMediaType(request);
  const declared = declaredLength(request.raw);
  if (declared !== undefined && declared > options.maxBytes) throw tooLarge(options.maxBytes, declared);

  allowBody(request.raw, reply.raw);
  let text = '';
  const whole = { ...options, gatherBytes: Number.POSITIVE_INFINITY };
  for await (const bytes of readBody(request.raw, whole)) text = decodeUtf8(bytes);
  if (text.trim() === '') return {};
  const json = parse(text);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new StatusError('INVALID_ARGUMENT', `the body must be an object, not ${kindOf(json)}`);
  }
  return json;
}

function checkMediaType(request: FastifyRequest): void {
  const type = request.headers['content-type'];
  if (type === undefined) throw unsupported('content-type is missing: it must be application/json');
  const [name = '', ...parameters] = type.split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((part) => part.startsWith('charset='))?.replace(/^charset="?([^"]*)"?$/, '$1');
  if (!/^application\/([a-z0-9.-]+\+)?json$/.test(name)) {
    throw unsupported(`content-type must be application/json, not ${name.slice(0, 80)}`);
  }
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw unsupported(`the charset of JSON is utf-8, not ${charset.slice(0, 40)}`);
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw unsupported(`content-encoding ${encoding.slice(0, 40)} is not supported: send the body as it is`);
  }
}

function unsupported(message: string): HttpOnlyError {
  return new HttpOnlyError(415, 'INVALID_ARGUMENT', message);
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new StatusError('INVALID_ARGUMENT', 'the body is not UTF-8', { cause });
  }
}

/** V8's own words quote the body, which is the user's: only the place is told. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : '';
    const position = /position (\d+)/.exec(said)?.[1];
    const where = position ? ` (position ${position})` : said.includes('end of JSON') ? ' (it ends too early)' : '';
    throw new StatusError('INVALID_ARGUMENT', `the body is not JSON${where}`, { cause });
  }
}
