import type { ShipRecord } from '../store/store.js';
import { finishLease } from './end-lease.js';
import type { ShipsDeps } from './ships-deps.js';
import { stopShip } from './stop-ship.js';

/** How often the reaper looks; what a ship may outlive its last lease by. */
const INTERVAL_MS = 500;

/**
 * Ends what nobody pays for any more: ships whose last lease ran out are stopped, single leases that ran out give their
 * seat back. It asks the store each time, and claims with the instant at which it asked, so that what was renewed since
 * then goes on. A lease with unfinished work, or with a call under way, is renewed instead.
 */
export class Reaper {
  readonly #deps: ShipsDeps;
  readonly #acting = new Set<string>();

  constructor(deps: ShipsDeps) {
    this.#deps = deps;
  }

  /** Looks until the signal aborts. What one look found is done while the next ones go on. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        void Promise.all(await this.#look());
      } catch (error) {
        this.#deps.log.error({ err: error }, 'the reaper could not look');
      }
      await this.#deps.clock.sleep(INTERVAL_MS, signal).catch(() => undefined);
    }
  }

  /** One look, and all that it leads to. */
  async tick(): Promise<void> {
    await Promise.all(await this.#look());
  }

  async #look(): Promise<Promise<void>[]> {
    const { store, clock } = this.#deps;
    const now = clock.now();
    const leases = await store.listExpiredLeases(now);
    if (leases.length === 0 && (await store.listExpiredShips(now)).length === 0) return [];

    const over = leases.filter((lease) => {
      const working = this.#deps.links.get(lease.shipId)?.activeSessions().has(lease.sessionId) ?? false;
      if (working && !lease.ending) store.renew(lease.shipId, lease.sessionId, now);
      return lease.ending || !working;
    });
    const ships = await store.listExpiredShips(now);
    const stopping = new Set(ships.map((ship) => ship.id));
    return [
      ...ships.map((ship) =>
        this.#act(ship.id, async () => {
          const stopped = await stopShip(this.#deps, ship, { ifExpiredAt: now, reason: expiryOf(ship) });
          if (stopped) this.#deps.log.info({ shipId: ship.id, incarnation: ship.incarnation }, 'a ship expired');
        }),
      ),
      ...over
        .filter((lease) => !stopping.has(lease.shipId))
        .map((lease) =>
          this.#act(`${lease.shipId}/${lease.sessionId}`, async () => {
            const { shipId, sessionId, ending } = lease;
            const claimed = ending ? lease : await store.beginEnding(shipId, sessionId, { ifExpiredAt: now });
            if (claimed) await finishLease(this.#deps, claimed);
          }),
        ),
    ];
  }

  async #act(key: string, act: () => Promise<void>): Promise<void> {
    if (this.#acting.has(key)) return;
    this.#acting.add(key);
    try {
      await act();
    } catch (error) {
      this.#deps.log.warn({ what: key, err: error }, 'could not end what expired; it is tried again');
    } finally {
      this.#acting.delete(key);
    }
  }
}

function expiryOf({ expireTime }: ShipRecord): string {
  return expireTime ? `expired: its ttl ended at ${expireTime.toISOString()}` : 'expired';
}
