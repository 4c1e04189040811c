import type { AttachExecutionRequest, StartExecutionRequest } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { Cancellation } from '../../proto/rpc/cancellation.js';
import type { CallContext } from '../../proto/rpc/definition.js';
import { isLinkLost } from '../../proto/rpc/link-lost.js';
import { isStatusError, StatusError } from '../../proto/rpc/status-error.js';
import type { ShipCalls } from '../ship-clients/ship-link.js';
import { endWithin } from './end-within.js';
import { readEventHead } from './event-head.js';
import { openSeat } from './open-seat.js';
import type { ShipsDeps } from './ships-deps.js';

/** Starts the execution, whose id is set, and passes its events on from the first. */
export function forwardStart(
  deps: ShipsDeps,
  request: StartExecutionRequest,
  ctx: CallContext,
): AsyncIterable<Uint8Array> {
  return forwardEvents(deps, request, ctx, {
    next: 1,
    strict: false,
    open: (calls, signal) => calls.executions.startExecution(request, { signal }),
  });
}

/** Passes an execution's events on from the number asked for. */
export function forwardAttach(
  deps: ShipsDeps,
  request: AttachExecutionRequest,
  ctx: CallContext,
): AsyncIterable<Uint8Array> {
  return forwardEvents(deps, request, ctx, {
    next: request.fromSequence,
    strict: request.strict,
    open: (calls, signal) => calls.executions.attachExecution(request, { signal }),
  });
}

/** For a call's own end, behind its last event. */
const END_MS = 250;

interface Reading {
  /** The first number wanted. */
  readonly next: number;
  readonly strict: boolean;
  readonly open: (calls: ShipCalls, signal: Cancellation) => AsyncIterable<Uint8Array>;
}

/**
 * Passes events on as the bytes they came in, as fast as the reader takes them. Where the link to the ship breaks, it
 * goes on over the next one behind the last number that the reader has: the reader sees a pause. A start that brought no
 * event is sent again, which by its id runs nothing twice. Where no link comes any more, the failure says where to go on.
 */
async function* forwardEvents(
  deps: ShipsDeps,
  request: { readonly shipId: string; readonly sessionId: string; readonly executionId: string },
  ctx: CallContext,
  reading: Reading,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { shipId, sessionId, executionId } = request;
  const { cancellation: signal } = ctx;
  const seat = await openSeat(deps, shipId, sessionId, signal);
  try {
    let held = 0;
    for (;;) {
      const from = held === 0 ? reading.next : held + 1;
      const calls = await seat.link.calls(signal).catch((error: unknown) => {
        throw brokeOff(error, executionId, from);
      });
      const attach = { shipId, sessionId, executionId, fromSequence: held + 1, strict: reading.strict };
      const events = held === 0 ? reading.open(calls, signal) : calls.executions.attachExecution(attach, { signal });
      let hasEnded = false;
      try {
        for await (const event of endWithin(events, END_MS, () => hasEnded)) {
          const { sequence, ended } = readEventHead(event);
          if (sequence <= held) continue;
          held = sequence;
          hasEnded = ended;
          if (ended) seat.renew();
          yield event;
        }
        if (hasEnded) return;
      } catch (error) {
        if (hasEnded) return;
        if (signal.aborted || !isLinkLost(error)) throw error;
        seat.link.lost(calls);
        continue;
      }
      // An attach behind the end is answered with nothing: that is the whole rest.
      if (held === 0 && reading.next > 1) return;
      const early = new StatusError('SHIP_UNREACHABLE', 'the ship ended the stream of events before their end');
      throw brokeOff(early, executionId, held + 1);
    }
  } finally {
    seat.close();
  }
}

/** The failure of a stream that had begun, with the number that its reader asks for to get the rest. */
function brokeOff(thrown: unknown, executionId: string, from: number): unknown {
  const isOfShip = isStatusError(thrown) && ['SHIP_NOT_RUNNING', 'SHIP_UNREACHABLE'].includes(thrown.reason);
  if (!isOfShip || from <= 1) return thrown;
  const message = `${thrown.message}; attach to execution ${executionId} from sequence ${from} for the rest`;
  return new StatusError(thrown.reason, message, { details: { next_sequence: from }, cause: thrown });
}
