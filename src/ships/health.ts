import type { Inspection } from '../drivers/driver.js';
import type { ShipRecord } from '../store/store.js';
import { systemClock } from '../telemetry/clock.js';
import type { Ship } from './ship.js';
import type { ShipsDeps } from './ships-deps.js';
import { stopShip } from './stop-ship.js';

/** A running ship whose agent has not answered for so long is stopped: nobody can use it. */
const MUTE_MS = 60_000;

/**
 * Looks whether a ship that the store calls running lives; what does not is brought to STOPPED with the reason. Answers
 * when that is done.
 */
export async function checkShip(deps: ShipsDeps, ship: Ship): Promise<'lives' | 'gone'> {
  const current = await deps.store.getShip(ship.id);
  if (current?.state !== 'RUNNING' || current.incarnation !== ship.incarnation) return 'gone';
  const inspection = await deps.driver.inspect(current);
  if (inspection.state === 'gone') {
    await buryShip(deps, current, inspection);
    return 'gone';
  }
  const link = deps.links.get(ship.id);
  if (!link || link.downMs < MUTE_MS) return 'lives';
  const why = inspection.trouble ?? link.trouble;
  await stopShip(deps, current, { reason: `its agent does not answer: ${why}`, gently: false });
  return 'gone';
}

/** Brings a ship that died behind Bay's back to STOPPED. */
export async function buryShip(deps: ShipsDeps, ship: ShipRecord, death: Inspection): Promise<void> {
  if (death.state !== 'gone') return;
  const reason = death.oom ? `out of memory: ${death.reason}` : death.reason;
  const buried = await stopShip(deps, ship, { reason, gently: false });
  if (buried) deps.log.warn({ shipId: ship.id, incarnation: ship.incarnation, reason }, 'a ship died');
}

/** Follows up signs of trouble, one look at a time for each ship, and not more than a few a second. */
export class HealthWatch {
  readonly #deps: ShipsDeps;
  readonly #looking = new Set<string>();
  readonly #pauseMs: number;

  constructor(deps: ShipsDeps, options: { pauseMs?: number } = {}) {
    this.#deps = deps;
    this.#pauseMs = options.pauseMs ?? 250;
  }

  /** Something is wrong with the link to a ship. */
  suspect(ship: Pick<Ship, 'id' | 'incarnation'>): void {
    if (this.#looking.has(ship.id)) return;
    this.#looking.add(ship.id);
    void this.#look(ship).finally(() => this.#looking.delete(ship.id));
  }

  /** The driver saw a ship die. */
  died(ship: Ship, death: Inspection): void {
    void this.#bury(ship, death);
  }

  async #look({ id, incarnation }: Pick<Ship, 'id' | 'incarnation'>): Promise<void> {
    const { store, log } = this.#deps;
    try {
      const ship = await store.getShip(id);
      if (ship?.state !== 'RUNNING' || ship.incarnation !== incarnation) return;
      if ((await checkShip(this.#deps, ship)) === 'gone') return;
    } catch (error) {
      log.warn({ shipId: id, err: error }, 'could not look whether a ship lives');
    }
    await systemClock.sleep(this.#pauseMs);
  }

  async #bury(ship: Ship, death: Inspection): Promise<void> {
    try {
      const current = await this.#deps.store.getShip(ship.id);
      if (current?.state === 'RUNNING' && current.incarnation === ship.incarnation) {
        await buryShip(this.#deps, current, death);
      }
    } catch (error) {
      this.#deps.log.warn({ shipId: ship.id, err: error }, 'could not clear a dead ship away; the reconciler will');
    }
  }
}
