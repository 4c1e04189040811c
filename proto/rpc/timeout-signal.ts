import { setMaxListeners } from 'node:events';

/**
 * A signal that aborts after a time with a TimeoutError, or with any of the others before, with its reason. The timer keeps
 * no process alive, and the signal itself.
 *
 * `AbortSignal.any([other, AbortSignal.timeout(ms)])` would not do: Node holds the sources of a combined signal weakly, and a
 * timeout that only such a signal waits for is collected with its timer, and never comes.
 */
export function timeoutSignal(timeoutMs: number, ...others: readonly (AbortSignal | undefined)[]): AbortSignal {
  const controller = new AbortController();
  const { signal } = controller;
  for (const other of others) {
    if (!other) continue;
    if (other.aborted) return other;
    setMaxListeners(0, other); // many waits of one caller are no leak: each lets go when its time is over
    other.addEventListener('abort', () => controller.abort(other.reason), { once: true, signal });
  }
  const late = () => controller.abort(new DOMException(`${timeoutMs} ms are over`, 'TimeoutError'));
  const timer = setTimeout(late, timeoutMs);
  timer.unref();
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  return signal;
}
