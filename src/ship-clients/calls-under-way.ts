import { StatusError } from '../../proto/rpc/status-error.js';

/**
 * Of the 1,024 calls that one connection takes, those that sessions may have open at once: the rest is for what Bay itself
 * has to say to a ship, and for calls that end others.
 */
export const MAX_CALLS = 992;
/** No session keeps the others of its ship out. */
export const MAX_CALLS_OF_SESSION = 512;

export interface CallKind {
  /** Ends or steers work, and is over at once: it goes on where others are too many. */
  readonly control?: boolean;
}

/** The calls that sessions have open on one ship. */
export class CallsUnderWay {
  readonly #counts = new Map<string, number>();
  #total = 0;

  /**
   * @returns to be called when the call is over; safe to repeat
   * @throws StatusError TOO_MANY_CALLS
   */
  enter(sessionId: string, { control = false }: CallKind = {}): () => void {
    const count = this.#counts.get(sessionId) ?? 0;
    if (!control && count >= MAX_CALLS_OF_SESSION) throw tooMany(`the session has ${count} calls open on its ship`);
    if (!control && this.#total >= MAX_CALLS) throw tooMany(`${this.#total} calls are open on this ship`);
    this.#counts.set(sessionId, count + 1);
    this.#total++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#total--;
      const rest = (this.#counts.get(sessionId) ?? 1) - 1;
      if (rest > 0) this.#counts.set(sessionId, rest);
      else this.#counts.delete(sessionId);
    };
  }

  sessions(): Iterable<string> {
    return this.#counts.keys();
  }
}

function tooMany(text: string): StatusError {
  return new StatusError(
    'TOO_MANY_CALLS',
    `${text}, of ${MAX_CALLS_OF_SESSION} for a session and ${MAX_CALLS} for all`,
  );
}
