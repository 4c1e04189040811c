import { timingSafeEqual } from 'node:crypto';
import { StatusError } from '../../proto/rpc/status-error.js';

/**
 * Judges the credential of a call or a connection: this incarnation's token, compared in constant time.
 *
 * @returns a function that throws StatusError TOKEN_MISSING or TOKEN_INVALID
 */
export function createTokenCheck(token: string): (metadata: Readonly<Record<string, string>>) => void {
  const wanted = Buffer.from(`Bearer ${token}`);
  return ({ authorization }) => {
    if (!authorization) throw new StatusError('TOKEN_MISSING', "the ship's token is missing");
    const given = Buffer.from(authorization);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
      throw new StatusError('TOKEN_INVALID', "not this ship's token");
  };
}
