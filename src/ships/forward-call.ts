import type { Cancellation } from '../../proto/rpc/cancellation.js';
import type { CallContext } from '../../proto/rpc/definition.js';
import { isLinkLost } from '../../proto/rpc/link-lost.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import type { CallKind } from '../ship-clients/calls-under-way.js';
import type { ShipCalls } from '../ship-clients/ship-link.js';
import { openSeat } from './open-seat.js';
import type { ShipsDeps } from './ships-deps.js';

export interface ForwardOptions extends CallKind {
  /** Whether sending the call twice is the same as once, so that it is sent again where the link broke under it. */
  readonly repeatable: boolean;
}

/**
 * Passes one call of a session on to its ship, and renews the lease when it went well.
 *
 * @throws StatusError of the ship; SHIP_UNREACHABLE where the link broke under a call that must not be sent twice, and
 *   nobody knows whether it took effect
 */
export async function forwardCall<T>(
  deps: ShipsDeps,
  request: { readonly shipId: string; readonly sessionId: string },
  ctx: CallContext,
  kind: ForwardOptions,
  call: (calls: ShipCalls, options: { signal: Cancellation }) => Promise<T>,
): Promise<T> {
  const { cancellation: signal } = ctx;
  const seat = await openSeat(deps, request.shipId, request.sessionId, signal, kind);
  try {
    for (;;) {
      const calls = await seat.link.calls(signal);
      try {
        const response = await call(calls, { signal });
        seat.renew();
        return response;
      } catch (error) {
        if (signal.aborted || !isLinkLost(error)) throw error;
        seat.link.lost(calls);
        if (!kind.repeatable) throw unknownEffect(error);
      }
    }
  } finally {
    seat.close();
  }
}

export function unknownEffect(cause: unknown): StatusError {
  const text = 'the link to the ship broke during the call, and whether it took effect is not known';
  return new StatusError('SHIP_UNREACHABLE', text, { cause });
}
