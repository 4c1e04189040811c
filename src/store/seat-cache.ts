/** Ships whose seats are remembered at most; beyond, everything is forgotten and read again. */
const MAX_SHIPS = 10_000;

/**
 * What was read of seats, until something of their ship is written: every call on a ship asks for its seat, and a query
 * would be a good part of Bay's time for the call. Sound because this process is the database's only writer.
 */
export class SeatCache<T> {
  readonly #ships = new Map<string, Map<string, T>>();
  #version = 0;

  get(shipId: string, sessionId: string): T | undefined {
    return this.#ships.get(shipId)?.get(sessionId);
  }

  /** Remembers what `read` finds, unless something is written meanwhile. */
  async fill(shipId: string, sessionId: string, read: () => Promise<T | undefined>): Promise<T | undefined> {
    const version = this.#version;
    const seat = await read();
    if (seat === undefined || version !== this.#version) return seat;
    if (this.#ships.size >= MAX_SHIPS) this.#ships.clear();
    const seats = this.#ships.get(shipId) ?? new Map<string, T>();
    this.#ships.set(shipId, seats.set(sessionId, seat));
    return seat;
  }

  /** Something of the ship is about to be written, or was. */
  forget(shipId: string): void {
    this.#version += 1;
    this.#ships.delete(shipId);
  }
}
