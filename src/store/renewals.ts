import type { Kysely } from 'kysely';
import type { Database } from './schema.js';

/** How long a renewal may wait for others to share its transaction; what a crash of Bay may forget. */
const FLUSH_MS = 100;

export interface RenewalEvents {
  readonly onWritten: (shipIds: ReadonlySet<string>) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Renewals of leases, gathered: every successful call makes one, and a write for each would cost more than the rest of
 * Bay's part in a call. Whoever reads leases flushes first, so that nobody sees the delay.
 */
export class Renewals {
  readonly #db: Kysely<Database>;
  readonly #events: RenewalEvents;
  #pending = new Map<string, { shipId: string; sessionId: string; time: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Kysely<Database>, events: RenewalEvents) {
    this.#db = db;
    this.#events = events;
  }

  /** The session used its lease: it lasts its ttl from then on. */
  add(shipId: string, sessionId: string, now: Date): void {
    this.#pending.set(`${shipId}/${sessionId}`, { shipId, sessionId, time: now.getTime() });
    this.#timer ??= setTimeout(() => void this.flush().catch(this.#events.onError), FLUSH_MS).unref();
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.size === 0) return;
    const renewals = [...this.#pending.values()];
    this.#pending = new Map();
    await this.#db.transaction().execute(async (trx) => {
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
    this.#events.onWritten(new Set(renewals.map(({ shipId }) => shipId)));
  }

  /** Forgets the timer; for the end, after a last flush. */
  close(): void {
    clearTimeout(this.#timer);
    this.#pending.clear();
  }
}
