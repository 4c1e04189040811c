import type { Cancellation } from './cancellation.js';

/** Waits for a promise that others share, and no longer than the signal allows. */
export async function orAborted<T>(promise: Promise<T>, signal: Cancellation): Promise<T> {
  signal.throwIfAborted();
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason); // eslint-disable-line @typescript-eslint/prefer-promise-reject-errors -- what it was aborted with
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
