/** The bearer check in the words of the original: 403 where no usable credential came, 401 for a wrong one. */
import { isStatusError } from '../../../proto/rpc/status-error.js';
import { ApiError } from './api-error.js';
import type { ShipyardApiDeps } from './types.js';

/** @returns what to answer, or undefined where the token is right; asked before the body is read, told after */
export function refusalOf(deps: ShipyardApiDeps, authorization: string | undefined): ApiError | undefined {
  const space = authorization?.indexOf(' ') ?? -1;
  if (authorization === undefined || space < 1 || space === authorization.length - 1) {
    return new ApiError(403, 'Not authenticated');
  }
  if (authorization.slice(0, space).toLowerCase() !== 'bearer') {
    return new ApiError(403, 'Invalid authentication credentials');
  }
  try {
    deps.authorize(authorization);
    return undefined;
  } catch (error) {
    if (!isStatusError(error)) throw error;
    if (error.reason === 'TOKEN_MISSING') return new ApiError(403, 'Not authenticated');
    return new ApiError(401, 'Invalid access token', { headers: { 'www-authenticate': 'Bearer' } });
  }
}
