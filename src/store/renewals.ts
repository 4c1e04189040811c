import type { Kysely } from 'kysely';
import type { Database } from './schema.js';

/** How long a renewal may wait for others to share its transaction; what a crash of Bay may forget. */
const FLUSH_MS = 100;
/** When it could not be written: a full disk is not full for long, or for very long. */
const RETRY_MS = 1_000;

export interface RenewalEvents {
  readonly onWritten: (shipIds: ReadonlySet<string>) => void;
  readonly onError: (error: unknown) => void;
}

interface Renewal {
  readonly shipId: string;
  readonly sessionId: string;
  readonly time: number;
}

/**
 * Renewals of leases, gathered: every successful call makes one, and a write for each would cost more than the rest of
 * Bay's part in a call. Whoever reads leases flushes first, so that nobody sees the delay. What cannot be written now is
 * kept: a lease that was used meanwhile must not run out once the disk takes writes again.
 */
export class Renewals {
  readonly #db: Kysely<Database>;
  readonly #events: RenewalEvents;
  #pending = new Map<string, Renewal>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  constructor(db: Kysely<Database>, events: RenewalEvents) {
    this.#db = db;
    this.#events = events;
  }

  /** The session used its lease: it lasts its ttl from then on. */
  add(shipId: string, sessionId: string, now: Date): void {
    this.#pending.set(`${shipId}/${sessionId}`, { shipId, sessionId, time: now.getTime() });
    this.#flushWithin(FLUSH_MS);
  }

  /** Rejects while any of them cannot be written, whoever asked for it. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing?.catch(() => undefined); // what it could not write is pending again
    if (this.#pending.size === 0) return this.#writing;
    const writing = (this.#writing = this.#writePending());
    try {
      await writing;
    } finally {
      if (this.#writing === writing) this.#writing = undefined;
    }
  }

  async #writePending(): Promise<void> {
    const renewals = this.#pending;
    this.#pending = new Map();
    try {
      await this.#write([...renewals.values()]);
    } catch (error) {
      this.#pending = new Map([...renewals, ...this.#pending]); // the later ones win
      this.#flushWithin(RETRY_MS);
      throw error;
    }
    this.#events.onWritten(new Set([...renewals.values()].map(({ shipId }) => shipId)));
  }

  #flushWithin(ms: number): void {
    this.#timer ??= setTimeout(() => void this.flush().catch(this.#events.onError), ms).unref();
  }

  #write(renewals: readonly Renewal[]): Promise<void> {
    return this.#db.transaction().execute(async (trx) => {
      for (const { shipId, sessionId, time } of renewals) {
        await trx
          .updateTable('leases')
          .set((eb) => ({ last_activity_time: time, expire_time: eb(eb('ttl_seconds', '*', 1000), '+', time) }))
          .where('ship_id', '=', shipId)
          .where('session_id', '=', sessionId)
          .where('end_time', 'is', null)
          .where('ending', '=', 0)
          .execute();
      }
    });
  }

  /** Forgets the timer; for the end, after a last flush. */
  close(): void {
    clearTimeout(this.#timer);
    this.#pending.clear();
  }
}
