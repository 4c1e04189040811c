import type { ShipServiceDefinition } from '../../proto/gen/shipyard/ship/v1/ship.js';
import type { Implementation } from '../../proto/rpc/definition.js';
import { checkSessionId, invalid } from '../../proto/rpc/invalid-argument.js';
import type { FenceGuard } from './fence-guard.js';
import type { LeaseKeeper } from './lease-keeper.js';
import { checkBind, checkNotNegative, MAX_GRACE_MS } from './service/validate.js';
import type { Sessions } from './sessions.js';
import { watch, type WatchDeps } from './watch.js';

export interface ShipServiceDeps {
  readonly fence: FenceGuard;
  readonly sessions: Sessions;
  readonly lease: LeaseKeeper;
  readonly watch: WatchDeps;
  /** Lets the session's late output in. */
  openSession(sessionId: string): void;
  /** Ends the session's executions, kernel and processes. */
  endSession(sessionId: string): Promise<void>;
  /** Ends all work; the process exits soon after. Answers the same to a second call. */
  shutdown(graceMs: number): Promise<void>;
}

/** ShipService: Bay's acts on the ship as a whole, each only for whoever holds the newest fence. */
export function createShipService(deps: ShipServiceDeps): Implementation<typeof ShipServiceDefinition> {
  const { fence, sessions, lease } = deps;
  return {
    async bindSession(request) {
      checkBind(request);
      fence.check(request.fence);
      const { sessionId, uid, homeName } = request;
      const { home, workspace } = await sessions.bind({ sessionId, uid, homeName });
      deps.openSession(sessionId);
      return { home, workspace };
    },

    async endSession(request) {
      checkSessionId(request.sessionId);
      fence.check(request.fence);
      await deps.endSession(request.sessionId);
      return {};
    },

    async setLease(request) {
      checkNotNegative('remaining_ms', request.remainingMs);
      fence.check(request.fence);
      lease.setLease(request.remainingMs);
      return {};
    },

    async shutdown(request) {
      if (request.graceMs < 0 || request.graceMs > MAX_GRACE_MS)
        throw invalid('grace_ms', `must be 0 to ${MAX_GRACE_MS}`, request.graceMs);
      fence.check(request.fence);
      await deps.shutdown(request.graceMs || DEFAULT_GRACE_MS);
      return {};
    },

    watch: (_request, ctx) => watch(deps.watch, ctx.signal),
  };
}

const DEFAULT_GRACE_MS = 500;
