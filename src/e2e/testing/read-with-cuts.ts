import type { ExecutionEvent } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { eventsOf } from '../ways/v1-http.js';

/** Opens the events of an execution from a number on. */
export type Attach = (fromSequence: number, signal: AbortSignal) => Promise<Response>;

/**
 * All that an execution prints, read with one cut after a random number of events each time, and put together.
 *
 * @param onCut told of each cut; with it, a stream that fails is a cut as well
 * @throws Error where a number is missing, or comes twice
 */
export async function readWithCuts(
  attach: Attach,
  cuts: number,
  onCut?: (cut: number) => Promise<void>,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let next = 0;
  const take = ({ event, sequence }: ExecutionEvent) => {
    if (next !== 0 && sequence !== next) throw new Error(`event ${sequence} came where ${next} was due`);
    next = sequence + 1;
    if (event?.$case === 'stdout') pieces.push(Buffer.from(event.value.content?.value ?? ''));
    return event?.$case === 'ended';
  };
  for (let cut = 0; ; cut++) {
    const controller = new AbortController();
    let left = cut < cuts ? 1 + Math.floor(Math.random() * 3) : Infinity;
    try {
      const response = await attach(next, controller.signal);
      if (response.status === 204) return Buffer.concat(pieces);
      for await (const event of eventsOf(response)) {
        if (take(event)) return Buffer.concat(pieces);
        if (--left <= 0) break;
      }
    } catch (error) {
      if (!onCut) throw error;
    } finally {
      controller.abort();
    }
    await onCut?.(cut);
  }
}
