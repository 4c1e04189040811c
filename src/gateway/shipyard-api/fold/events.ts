/** Reading a stream of encoded execution events up to its end. */
import { ExecutionEvent, type Ended } from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import { StatusError } from '../../../../proto/rpc/status-error.js';

export type EventBody = NonNullable<ExecutionEvent['event']>;

/**
 * Hands every event of a kind we know to `take`, until `ended` was there or `take` says true. Leaving early ends the
 * stream, which cancels the call behind it.
 *
 * @returns the end, or undefined where `take` had enough before it
 * @throws StatusError SHIP_UNREACHABLE where the stream stops without an end
 */
export async function readEvents(
  stream: AsyncIterable<Uint8Array>,
  take: (event: EventBody, sequence: number) => boolean | void,
): Promise<Ended | undefined> {
  let ended: Ended | undefined;
  try {
    // To the stream's own end, which comes with the last event: leaving it would cancel a call that is over.
    for await (const bytes of stream) {
      const { event, sequence } = ExecutionEvent.decode(bytes);
      if (event === undefined) continue; // a kind from a later version
      const enough = take(event, sequence);
      if (event.$case === 'ended') ended = event.value;
      else if (enough === true) return undefined;
    }
  } catch (error) {
    if (!ended) throw error;
  }
  if (ended) return ended;
  throw new StatusError('SHIP_UNREACHABLE', 'the stream of events stopped before the end of the execution');
}

/** The number of an encoded event, without decoding the rest. */
export function sequenceOf(bytes: Uint8Array): number {
  if (bytes[0] !== SEQUENCE_TAG) return ExecutionEvent.decode(bytes).sequence;
  let value = 0;
  let factor = 1;
  for (let at = 1; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
    factor *= 128;
  }
  return value;
}

/** Field 1 as a varint, which encoders write first. */
const SEQUENCE_TAG = 0x08;
