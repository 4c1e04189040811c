/** Failures of exec as the original told them: always 400, the cause in the text. */
import type { StatusError } from '../../../../proto/rpc/status-error.js';
import { isStatusError } from '../../../../proto/rpc/status-error.js';
import { ApiError, shipDetail } from '../api-error.js';

const NOT_RUNNING = 'Ship not found or not running';
const NO_ACCESS = 'Session does not have access to this ship';

/** What is between Bay and the ship, told alike by exec, upload and download; undefined for everything else. */
export function accessFailure(error: StatusError): string | undefined {
  switch (error.reason) {
    case 'SHIP_NOT_FOUND':
    case 'SHIP_NOT_RUNNING':
      return NOT_RUNNING;
    case 'SESSION_NOT_BOUND':
      return NO_ACCESS;
    case 'SHIP_UNREACHABLE':
    case 'SHUTTING_DOWN':
      return `Connection error: ${error.message}`;
    default:
      return undefined;
  }
}

/** @param thrown from a call into the ship; an ApiError passes */
export function execFailure(thrown: unknown): unknown {
  if (!isStatusError(thrown)) return thrown;
  const access = accessFailure(thrown);
  if (access !== undefined) return new ApiError(400, access, { cause: thrown });
  switch (thrown.reason) {
    case 'CANCELLED':
      return thrown; // the client is gone
    case 'DEADLINE_EXCEEDED':
      return new ApiError(400, 'Request timeout', { cause: thrown });
    case 'INTERNAL':
      return new ApiError(400, `Internal error: ${thrown.message}`, { cause: thrown });
    default:
      return ApiError.fromShip(400, thrown.codes.http, shipDetail(thrown.message), thrown);
  }
}

/** Reasons whose texts the original's Ship put behind the name of what failed, as a 500. */
const UNFORESEEN = new Set(['FILE_OPERATION_FAILED', 'ENCODING_FAILED', 'DISK_FULL', 'INVALID_ARGUMENT']);

/** @param failed "Failed to read file", say */
export function fileFailure(thrown: unknown, failed: string): unknown {
  if (!isStatusError(thrown) || !UNFORESEEN.has(thrown.reason)) return execFailure(thrown);
  return ApiError.fromShip(400, 500, shipDetail(`${failed}: ${thrown.message}`), thrown);
}
