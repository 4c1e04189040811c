/**
 * The documented routes take an empty X-SESSION-ID for a session like any other (contract, section 1), where every other
 * way in takes it for one that was forgotten. A header never arrives as a lone space, so that is its name inside.
 */
const NAME_OF_EMPTY = ' ';

export function toSessionId(header: string): string {
  return header === '' ? NAME_OF_EMPTY : header;
}

/** As the client says it. */
export function toHeader(sessionId: string): string {
  return sessionId === NAME_OF_EMPTY ? '' : sessionId;
}
