/** INVALID_ARGUMENT as every service says it: the field, the rule it broke, and the value where that helps. */
import { StatusError } from './status-error.js';

export function missing(field: string): StatusError {
  return new StatusError('INVALID_ARGUMENT', `${field} is missing`, { details: { field, rule: 'is missing' } });
}

/** @param value shown up to 200 characters */
export function invalid(field: string, rule: string, value?: string | number): StatusError {
  const shown = value === undefined ? '' : `: ${String(value).slice(0, 200)}`;
  return new StatusError('INVALID_ARGUMENT', `${field} ${rule}${shown}`, { details: { field, rule } });
}

/** UTF-8 bytes of a session id. */
const MAX_SESSION_ID_BYTES = 1024;

/** Bay asks before it makes a ship for the session, Ship before it does anything for it. @throws StatusError */
export function checkSessionId(sessionId: string): void {
  if (sessionId === '') throw missing('session_id');
  if (Buffer.byteLength(sessionId) > MAX_SESSION_ID_BYTES)
    throw invalid('session_id', `must have at most ${MAX_SESSION_ID_BYTES} bytes`);
  if (sessionId.includes('\0')) throw invalid('session_id', 'must not hold NUL');
  // What protobuf makes of other bytes: different ids would become one.
  if (sessionId.includes('\ufffd')) throw invalid('session_id', 'must be UTF-8');
}
