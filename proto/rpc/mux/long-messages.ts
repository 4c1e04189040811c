/**
 * Who may gather a message beyond the initial credit. Each of 1,024 calls may be sent 16 MiB in pieces; by taking turns a
 * connection holds a few such messages and not all of them. Whoever has a turn keeps it until its message is whole, so
 * that somebody always goes on.
 */
const TURNS = 4;

interface Gatherer {
  /** It is its turn. */
  granted(): void;
}

export class LongMessages {
  readonly #gathering = new Set<Gatherer>();
  readonly #waiting = new Set<Gatherer>();

  /** @returns whether it has its turn; if not, granted() is called when it has */
  request(gatherer: Gatherer): boolean {
    if (this.#gathering.has(gatherer)) return true;
    if (this.#gathering.size >= TURNS) {
      this.#waiting.add(gatherer);
      return false;
    }
    this.#gathering.add(gatherer);
    return true;
  }

  /** Its message is whole, or will never be. */
  done(gatherer: Gatherer): void {
    this.#waiting.delete(gatherer);
    if (!this.#gathering.delete(gatherer)) return;
    const [next] = this.#waiting;
    if (!next) return;
    this.#waiting.delete(next);
    this.#gathering.add(next);
    next.granted();
  }
}
