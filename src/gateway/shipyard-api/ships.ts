/** The documented routes about ships themselves. */
import type { StatusError } from '../../../proto/rpc/status-error.js';
import { isStatusError } from '../../../proto/rpc/status-error.js';
import type { CreateShipRequest } from '../../../proto/gen/shipyard/bay/v1/bay.js';
import { errorHeaders } from '../http-error.js';
import { ApiError } from './api-error.js';
import type { JsonPart } from './fold/json-parts.js';
import { checkBody, type Body } from './json/body.js';
import { boolean, INVALID, type ValidationItem } from './json/validation.js';
import { createShipBody, extendTtlBody } from './requests.js';
import { toHeader } from './session-id.js';
import { toShipResponse, type ShipResponse } from './ship-response.js';
import type { ApiCall } from './types.js';

export async function listShips(call: ApiCall): Promise<ShipResponse[]> {
  const { ships } = await orApiError(call.deps.bay.listShips({ states: [] }, call.options));
  return ships.map((ship) => toShipResponse(ship)).filter((ship) => ship.status === 1);
}

export type CreateShip = Pick<CreateShipRequest, 'ttlSeconds' | 'spec' | 'maxSessionNum'>;

/** @returns INVALID after pushing to `errors`, as the other checks here */
export function checkCreateShip(body: Body, errors: ValidationItem[]): CreateShip | typeof INVALID {
  const checked = checkBody(body, createShipBody, ['body'], errors);
  if (checked === INVALID) return INVALID;
  const { ttl, spec, max_session_num } = checked;
  return {
    ttlSeconds: ttl,
    maxSessionNum: max_session_num,
    spec: spec === null ? undefined : { cpus: spec.cpus ?? undefined, memory: spec.memory ?? undefined },
  };
}

export async function createShip(call: ApiCall, sessionId: string, asked: CreateShip): Promise<ShipResponse> {
  try {
    const ship = await call.deps.bay.createShip({ sessionId, ...asked }, call.options);
    return toShipResponse(ship, asked.ttlSeconds);
  } catch (error) {
    throw isStatusError(error) ? createFailure(error, sessionId, asked) : error;
  }
}

function createFailure(error: StatusError, sessionId: string, asked: CreateShip): unknown {
  const headers = { 'retry-after': '1', ...errorHeaders(error) };
  const options = { headers, cause: error };
  switch (error.reason) {
    case 'SHIP_LIMIT_REACHED':
      return new ApiError(429, 'Maximum number of ships reached', options);
    case 'SHIP_WAIT_TIMEOUT':
      return new ApiError(408, 'Timeout waiting for available ship slot', { cause: error });
    case 'INVALID_ARGUMENT':
      return invalidArgument(error, sessionId, asked);
    case 'SHIP_START_FAILED':
    case 'DRIVER_UNAVAILABLE':
    case 'SHIP_UNREACHABLE':
    case 'SHUTTING_DOWN':
    case 'DEADLINE_EXCEEDED':
    case 'SESSION_LIMIT_REACHED':
    case 'TOO_MANY_CALLS':
    case 'FENCED':
      return new ApiError(503, error.message, options);
    case 'DRIVER_REFUSED':
      return new ApiError(500, error.message, { cause: error });
    case 'DISK_FULL':
      return new ApiError(507, error.message, { cause: error });
    default:
      return error;
  }
}

/** What Bay alone can judge, such as a size that its driver does not take: at its place, where that is known. */
function invalidArgument(error: StatusError, sessionId: string, { spec }: CreateShip): ApiError {
  const places: Readonly<Record<string, { loc: string[]; input?: unknown }>> = {
    session_id: { loc: ['header', 'X-SESSION-ID'], input: toHeader(sessionId) },
    'spec.cpus': { loc: ['body', 'spec', 'cpus'], input: spec?.cpus },
    'spec.memory': { loc: ['body', 'spec', 'memory'], input: spec?.memory },
  };
  const { field } = error.details;
  const { loc, input = null } = places[typeof field === 'string' ? field : ''] ?? { loc: ['body'] };
  const msg = `Value error, ${error.message}`;
  return ApiError.validation([{ type: 'value_error', loc, msg, input, ctx: { error: {} } }]);
}

export async function getShip(call: ApiCall): Promise<ShipResponse> {
  return toShipResponse(await orApiError(call.deps.bay.getShip({ shipId: call.shipId }, call.options)));
}

export function checkKeepWorkspace(query: URLSearchParams, errors: ValidationItem[]): boolean | typeof INVALID {
  const given = query.getAll('keep_workspace').at(-1);
  return given === undefined ? false : boolean(given, ['query', 'keep_workspace'], errors);
}

export async function deleteShip(call: ApiCall, keepWorkspace: boolean): Promise<void> {
  await orApiError(call.deps.bay.deleteShip({ shipId: call.shipId, keepWorkspace }, call.options));
}

export function checkExtendTtl(body: Body, errors: ValidationItem[]): number | typeof INVALID {
  const checked = checkBody(body, extendTtlBody, ['body'], errors);
  return checked === INVALID ? INVALID : checked.ttl;
}

export async function extendTtl(call: ApiCall, ttlSeconds: number): Promise<ShipResponse> {
  const ship = await orApiError(call.deps.bay.extendTtl({ shipId: call.shipId, ttlSeconds }, call.options));
  return toShipResponse(ship, ttlSeconds);
}

/** Logs that cannot be had are empty ones, as in the original; a failure after the first piece is a broken answer. */
export async function shipLogs(call: ApiCall): Promise<JsonPart> {
  const { shipId, deps, options } = call;
  const chunks = deps.bay.streamShipLogs({ shipId, follow: false }, options)[Symbol.asyncIterator]();
  try {
    const first = await chunks.next();
    if (first.done) return '{"logs":""}';
    return writeLogs(first.value.text, { [Symbol.asyncIterator]: () => chunks });
  } catch (error) {
    if (!isStatusError(error) || error.reason === 'CANCELLED') throw error;
    return '{"logs":""}';
  }
}

async function* writeLogs(first: string, rest: AsyncIterable<{ text: string }>): AsyncGenerator<string> {
  yield `{"logs":"${escaped(first)}`;
  for await (const { text } of rest) yield escaped(text);
  yield '"}';
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** A ship that is unknown, or too stopped for the act, is 404; what may pass is 503. */
async function orApiError<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!isStatusError(error)) throw error;
    switch (error.reason) {
      case 'SHIP_NOT_FOUND':
      case 'SHIP_NOT_RUNNING':
      case 'INVALID_ARGUMENT': // an id that no ship can have
        throw new ApiError(404, 'Ship not found', { cause: error });
      case 'CANCELLED':
      case 'INTERNAL':
        throw error;
      default:
        throw new ApiError(error.codes.http, error.message, { headers: errorHeaders(error), cause: error });
    }
  }
}
