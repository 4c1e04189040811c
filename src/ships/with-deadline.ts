import type { Clock } from '../telemetry/clock.js';

/** Runs `act` with a signal that aborts with the outer one, or with `late()` once the time is over. */
export async function withDeadline<T>(
  clock: Clock,
  milliseconds: number,
  late: () => Error,
  outer: AbortSignal | undefined,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const over = new AbortController();
  clock.sleep(milliseconds, over.signal).then(
    () => deadline.abort(late()),
    () => undefined, // it was over before its time
  );
  try {
    return await act(outer ? AbortSignal.any([outer, deadline.signal]) : deadline.signal);
  } finally {
    over.abort();
  }
}
