/** Not there; ESRCH and ENODEV are how /proc and cgroup files of something that just ended say it. */
export const isMissing = (error: unknown) => hasCode(error, 'ENOENT', 'ENOTDIR', 'ESRCH', 'ENODEV');

/** Whether this is a system's failure of one of these codes. Judged by shape: `instanceof` fails across Jest realms. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && codes.includes(String(error.code));
}

/** Whatever was thrown, as an Error; itself where it looks like one. */
export function toError(thrown: unknown): Error {
  return typeof thrown === 'object' && thrown !== null && 'message' in thrown
    ? (thrown as Error)
    : new Error(String(thrown));
}

/** A message with those of its causes that say more, for operators: callers are told the first alone. */
export function inFull(thrown: unknown): string {
  const { message, cause } = toError(thrown);
  const why = cause === undefined ? '' : inFull(cause);
  return why === '' || message.includes(why) ? message : `${message}: ${why}`;
}
