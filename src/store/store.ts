import type { ShipState } from '../ships/ship.js';
import { Changes } from './changes.js';
import * as leases from './leases.js';
import { openDatabase, type OpenDatabaseOptions } from './open-database.js';
import { SeatCache } from './seat-cache.js';
import { place, restore, type Placement, type PlaceRequest, type RestoreRequest } from './placement.js';
import { Renewals } from './renewals.js';
import { toShip, type LeaseRecord, type ShipRecord } from './rows.js';
import type { EndCause, Removal } from './schema.js';
import { countPlaces, selectShips } from './ship-rows.js';
import * as transitions from './transitions.js';

export type { LeaseRecord, ShipRecord } from './rows.js';
export type { Placement, PlaceRequest, RestoreRequest } from './placement.js';
export type { Removal } from './schema.js';
export type { StartRecord, TransitionOptions } from './transitions.js';

export type Seat = NonNullable<Awaited<ReturnType<typeof leases.findSeat>>>;

/**
 * The truth about ships and leases. Every change is one conditional UPDATE or one transaction; who loses gets
 * undefined. Reading sees every renewal that was made before.
 */
export class Store {
  readonly deploymentId: string;
  readonly changes = new Changes();
  readonly #database: ReturnType<typeof openDatabase>;
  readonly #renewals: Renewals;
  readonly #seats = new SeatCache<Seat>();

  /** @throws StoreError with a text for whoever starts the program */
  constructor(options: OpenDatabaseOptions) {
    this.#database = openDatabase(options);
    this.deploymentId = this.#database.deploymentId;
    this.#renewals = new Renewals(this.#database.db, {
      onWritten: (shipIds) => shipIds.forEach((shipId) => this.#seats.forget(shipId)),
      onError: (error) => options.log.error({ err: error }, 'could not write renewals of leases'),
    });
  }

  get #db() {
    return this.#database.db;
  }

  /** While nothing can be written, the times of leases are those of before. */
  async getShip(shipId: string): Promise<ShipRecord | undefined> {
    await this.#tryToFlush();
    return transitions.readShip(this.#db, shipId);
  }

  /** Oldest first; as getShip. */
  async listShips(states?: readonly ShipState[]): Promise<ShipRecord[]> {
    await this.#tryToFlush();
    const rows = await selectShips(this.#db)
      .$if(states !== undefined, (query) => query.where('ships.state', 'in', states ?? []))
      .orderBy('ships.create_time')
      .orderBy('ships.id')
      .execute();
    return rows.map(toShip);
  }

  /** Running ships of which every lease ended by this instant. */
  async listExpiredShips(at: Date): Promise<ShipRecord[]> {
    await this.#renewals.flush();
    const ships = await this.listShips(['RUNNING']);
    return ships.filter((ship) => (ship.expireTime?.getTime() ?? 0) <= at.getTime());
  }

  /** Ships that take a place of MAX_SHIP_NUM. */
  async countPlaces(): Promise<number> {
    return countPlaces(this.#db);
  }

  async place(request: PlaceRequest): Promise<Placement> {
    await this.#renewals.flush();
    return this.#told(await place(this.#db, request));
  }

  async restore(ship: ShipRecord, request: RestoreRequest): Promise<Awaited<ReturnType<typeof restore>>> {
    await this.#renewals.flush();
    return this.#told(await restore(this.#db, ship, request));
  }

  async transition(
    ship: Pick<ShipRecord, 'id' | 'incarnation'>,
    to: Exclude<ShipState, 'CREATING'>,
    options: transitions.TransitionOptions,
  ): Promise<ShipRecord | undefined> {
    await this.#renewals.flush();
    const changed = await this.#db.transaction().execute((trx) => transitions.transition(trx, ship, to, options));
    if (changed) this.#changed(ship.id, { freed: to === 'STOPPED' || to === 'RUNNING' });
    return changed;
  }

  async recordStart(ship: ShipRecord, started: transitions.StartRecord): Promise<ShipRecord | undefined> {
    const recorded = await this.#db.transaction().execute((trx) => transitions.recordStart(trx, ship, started));
    this.#seats.forget(ship.id);
    return recorded;
  }

  async markRemoval(shipId: string, removal: Removal, now: Date): Promise<ShipRecord | undefined> {
    const ship = await this.#db.transaction().execute((trx) => transitions.markRemoval(trx, shipId, removal, now));
    this.#changed(shipId);
    return ship;
  }

  async removeShip(shipId: string): Promise<void> {
    await transitions.removeShip(this.#db, shipId);
    this.#changed(shipId, { freed: true });
  }

  /** The ship and the session's lease in it. The lease's end may be 100 ms older than its last renewal. */
  async findSeat(shipId: string, sessionId: string): Promise<Seat | undefined> {
    const known = this.#seats.get(shipId, sessionId);
    return known ?? this.#seats.fill(shipId, sessionId, () => leases.findSeat(this.#db, shipId, sessionId));
  }

  /** As getShip. */
  async listLeases(shipId: string, options: { heldOnly?: boolean } = {}): Promise<LeaseRecord[]> {
    await this.#tryToFlush();
    return leases.listLeases(this.#db, shipId, options.heldOnly ?? false);
  }

  async listExpiredLeases(at: Date): Promise<LeaseRecord[]> {
    await this.#renewals.flush();
    return leases.listExpiredLeases(this.#db, at);
  }

  /** The session used its lease at this instant. Written within 100 ms, and before anybody reads. */
  renew(shipId: string, sessionId: string, now: Date): void {
    this.#renewals.add(shipId, sessionId, now);
  }

  async regrantLease(shipId: string, sessionId: string, now: Date): Promise<LeaseRecord | undefined> {
    const lease = await leases.regrantLease(this.#db, shipId, sessionId, now);
    if (lease) this.#changed(shipId);
    return lease;
  }

  async extendLeases(shipId: string, ttlSeconds: number, now: Date): Promise<ShipRecord | undefined> {
    await this.#renewals.flush();
    const ship = await leases.extendLeases(this.#db, shipId, ttlSeconds, now);
    if (ship) this.#changed(shipId);
    return ship;
  }

  async beginEnding(
    shipId: string,
    sessionId: string,
    options?: leases.EndingOptions,
  ): Promise<LeaseRecord | undefined> {
    await this.#renewals.flush();
    const lease = await leases.beginEnding(this.#db, shipId, sessionId, options);
    if (lease) this.#changed(shipId);
    return lease;
  }

  async finishEnding(lease: Pick<LeaseRecord, 'shipId' | 'sessionId'>, cause: EndCause, now: Date): Promise<boolean> {
    const freed = await leases.finishEnding(this.#db, lease, cause, now);
    if (freed) this.#changed(lease.shipId, { freed: true });
    return freed;
  }

  /** @throws StatusError DISK_FULL where nothing can be written now */
  async probe(now: Date): Promise<void> {
    await this.#db
      .insertInto('meta')
      .values({ key: 'probe_time', value: now.toISOString() })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: now.toISOString() }))
      .execute();
  }

  /** Writes what is gathered and gives the database free. */
  async close(): Promise<void> {
    await this.#renewals.flush();
    this.#renewals.close();
    await this.#database.close();
  }

  /** For reading. Whoever acts on the times of leases flushes too, and fails where they cannot be written. */
  async #tryToFlush(): Promise<void> {
    await this.#renewals.flush().catch(() => undefined);
  }

  #changed(shipId: string, options?: { freed?: boolean }): void {
    this.#seats.forget(shipId);
    this.changes.emit(shipId, options);
  }

  #told<T extends Placement | undefined>(placement: T): T {
    if (placement && (placement.kind === 'seated' || placement.kind === 'reserved')) {
      this.#changed(placement.ship.id);
    }
    return placement;
  }
}
