import type { Driver, Inspection } from '../drivers/driver.js';
import type { Ship } from '../ships/ship.js';
import { shipNotRunning } from './not-running.js';
import { ShipLink, type ShipLinkDeps } from './ship-link.js';
import { shipToken } from './ship-token.js';

export interface ShipLinksDeps extends ShipLinkDeps {
  readonly key: Buffer;
  readonly driver: Pick<Driver, 'endpoint' | 'died'>;
  /** The driver saw the incarnation die. */
  onDeath(ship: Ship, death: Inspection): void;
}

/** One link to each ship that runs or starts. */
export class ShipLinks {
  readonly #deps: ShipLinksDeps;
  readonly #links = new Map<string, ShipLink>();

  constructor(deps: ShipLinksDeps) {
    this.#deps = deps;
  }

  token(ship: Pick<Ship, 'id' | 'incarnation'>): string {
    return shipToken(this.#deps.key, ship);
  }

  /** The link to this incarnation; a link to an earlier one is given up. */
  open(ship: Ship): ShipLink {
    const known = this.#links.get(ship.id);
    if (known?.incarnation === ship.incarnation) return known;
    if (!ship.handle) throw shipNotRunning();
    known?.close();
    const link = new ShipLink(this.#deps, ship, this.#deps.driver.endpoint(ship.handle), this.token(ship));
    this.#links.set(ship.id, link);
    this.#awaitDeath(ship, link);
    return link;
  }

  get(shipId: string): ShipLink | undefined {
    return this.#links.get(shipId);
  }

  close(shipId: string): void {
    this.#links.get(shipId)?.close();
    this.#links.delete(shipId);
  }

  closeAll(): void {
    for (const shipId of [...this.#links.keys()]) this.close(shipId);
  }

  #awaitDeath(ship: Ship, link: ShipLink): void {
    this.#deps.driver.died?.(ship, link.closed).then(
      (death) => {
        if (!link.closed.aborted) this.#deps.onDeath(ship, death);
      },
      (error: unknown) => {
        if (!link.closed.aborted)
          this.#deps.log.warn({ shipId: ship.id, err: error }, 'cannot watch a ship for its death');
      },
    );
  }
}
