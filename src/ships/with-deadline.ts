import type { Cancellation } from '../../proto/rpc/cancellation.js';
import type { Clock } from '../telemetry/clock.js';

/** Runs `act` with a signal that aborts with the outer one, or with `late()` once the time is over. */
export async function withDeadline<T>(
  clock: Clock,
  milliseconds: number,
  late: () => Error,
  outer: Cancellation | undefined,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const over = new AbortController();
  const leave = (): void => deadline.abort(outer?.reason);
  if (outer?.aborted) leave();
  outer?.addEventListener('abort', leave, { once: true });
  clock.sleep(milliseconds, over.signal).then(
    () => deadline.abort(late()),
    () => undefined, // it was over before its time
  );
  try {
    return await act(deadline.signal);
  } finally {
    outer?.removeEventListener('abort', leave);
    over.abort();
  }
}
