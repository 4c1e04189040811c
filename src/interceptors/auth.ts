import { createHash, timingSafeEqual } from 'node:crypto';
import { around } from '../../proto/rpc/around.js';
import type { CallContext } from '../../proto/rpc/definition.js';
import type { Interceptor } from '../../proto/rpc/router.js';
import { StatusError } from '../../proto/rpc/status-error.js';

/** Judges an `authorization` header. @throws StatusError TOKEN_MISSING, TOKEN_INVALID */
export type Authorizer = (authorization: string | undefined) => void;

/**
 * One token opens everything. It is compared in constant time, by its hash, so that neither its length nor a common
 * beginning shows.
 */
export function createAuthorizer(accessToken: string): Authorizer {
  const expected = sha256(accessToken);
  return (authorization) => {
    const [, scheme = '', credential = ''] = /^\s*(\S+)(?:\s+(.*?))?\s*$/.exec(authorization ?? '') ?? [];
    // The texts are part of the documented HTTP contract.
    if (scheme === '' || credential === '') throw new StatusError('TOKEN_MISSING', 'Not authenticated');
    if (scheme.toLowerCase() !== 'bearer') {
      throw new StatusError('TOKEN_MISSING', 'Invalid authentication credentials');
    }
    if (!timingSafeEqual(sha256(credential), expected)) throw new StatusError('TOKEN_INVALID', 'Invalid access token');
  };
}

/** Lets a call through only with the token. Health and reflection are not of the router, and stay open. */
export function authInterceptor(authorize: Authorizer): Interceptor {
  // Calls on a mux connection that bring no metadata share the connection's, one object: it is judged once.
  const accepted = new WeakSet<CallContext['metadata']>();
  return around(({ metadata }) => {
    if (accepted.has(metadata)) return;
    authorize(metadata.authorization);
    accepted.add(metadata);
  });
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
