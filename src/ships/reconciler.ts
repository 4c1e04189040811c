import type { FoundShip } from '../drivers/driver.js';
import type { ShipRecord } from '../store/store.js';
import { finishDelete } from './delete-ship.js';
import { checkShip } from './health.js';
import type { Ship } from './ship.js';
import { STOP_TIMEOUT_MS, type ShipsDeps } from './ships-deps.js';
import { finishUndo, undoStart } from './start-ship.js';
import { endIncarnation, finishStop } from './stop-ship.js';

const INTERVAL_MS = 30_000;

/**
 * Compares the store with what lives, and finishes what a Bay that died left half done: the row is the truth, and
 * whatever does not match it is ended. Every step is one that the first attempt would have taken, and is safe to repeat.
 */
export class Reconciler {
  readonly #deps: ShipsDeps;
  /** Starts that were begun before belong to a Bay that is gone. */
  readonly #since: Date;

  constructor(deps: ShipsDeps) {
    this.#deps = deps;
    this.#since = deps.clock.now();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(INTERVAL_MS, signal).catch(() => undefined);
      if (!signal.aborted) await this.tick();
    }
  }

  /** One comparison, and all that it leads to. What fails is logged, and tried again by the next one. */
  async tick(): Promise<void> {
    const { driver, store } = this.#deps;
    await this.#attempt('orphans', async () => {
      const found = await driver.list();
      const rows = new Map((await store.listShips()).map((ship) => [ship.id, ship]));
      const orphans = found.filter((life) => !belongs(rows.get(life.shipId), life));
      await Promise.all(orphans.map((life) => this.#attempt(life.shipId, () => this.#removeOrphan(life))));
    });
    await this.#attempt('ships', async () => {
      const ships = await store.listShips();
      await Promise.all(ships.map((ship) => this.#attempt(ship.id, () => this.#settle(ship))));
    });
  }

  async #settle(ship: ShipRecord): Promise<void> {
    if (ship.removal) return finishDelete(this.#deps, ship);
    switch (ship.state) {
      case 'CREATING':
        return this.#isLeftOver(ship) ? this.#undo(ship) : undefined;
      case 'FAILED':
        return this.#undo(ship);
      case 'STOPPING':
        await finishStop(this.#deps, ship);
        return;
      case 'RUNNING':
        if ((await checkShip(this.#deps, ship)) === 'lives') this.#deps.links.open(ship);
        return;
      case 'STOPPED':
        return;
    }
  }

  #isLeftOver(ship: ShipRecord): boolean {
    if (this.#deps.starts.has(ship.id)) return false;
    // The second half is for a clock that was set back between two lives of Bay.
    const ageMs = this.#deps.clock.now().getTime() - ship.updateTime.getTime();
    return ship.updateTime < this.#since || ageMs > this.#deps.settings.startTimeoutMs + STOP_TIMEOUT_MS;
  }

  async #undo(ship: ShipRecord): Promise<void> {
    await this.#deps.shipLocks.run(ship.id, undefined, async () => {
      const current = await this.#deps.store.getShip(ship.id);
      if (current?.incarnation !== ship.incarnation || current.removal) return;
      if (current.state === 'CREATING') return undoStart(this.#deps, current, 'Bay ended while the ship started');
      if (current.state !== 'FAILED') return;
      await endIncarnation(this.#deps, current);
      await finishUndo(this.#deps, current);
    });
  }

  async #removeOrphan(life: FoundShip): Promise<void> {
    await this.#deps.shipLocks.run(life.shipId, undefined, async () => {
      const row = await this.#deps.store.getShip(life.shipId);
      if (belongs(row, life)) return;
      const { shipId, incarnation } = life;
      this.#deps.log.warn({ shipId, incarnation }, 'ending something of a ship that should not live');
      if (this.#deps.links.get(shipId)?.incarnation === incarnation) this.#deps.links.close(shipId);
      await this.#deps.driver.stop(toShip(life, this.#deps.clock.now()), {
        signal: AbortSignal.timeout(STOP_TIMEOUT_MS),
      });
    });
  }

  async #attempt(what: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#deps.log.error({ what, err: error }, 'could not reconcile; it is tried again');
    }
  }
}

function belongs(row: ShipRecord | undefined, life: FoundShip): boolean {
  return row !== undefined && row.state !== 'STOPPED' && row.incarnation === life.incarnation;
}

/** As much of a ship as the driver needs to end it. */
function toShip(life: FoundShip, now: Date): Ship {
  return {
    id: life.shipId,
    state: 'STOPPING',
    incarnation: life.incarnation,
    fence: 0,
    driver: '',
    spec: { cpus: 0, memoryBytes: 0 },
    maxSessionNum: 0,
    ttlSeconds: 0,
    createTime: now,
    updateTime: now,
    stateReason: '',
    handle: life.handle,
    isolation: undefined,
  };
}
