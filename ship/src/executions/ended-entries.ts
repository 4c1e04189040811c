import type { Clock, Timer } from './clock.js';
import { shorten, COMMAND_IN_MEMORY } from './asked-work.js';
import type { Entry } from './entry.js';
import type { AcceptedExecution, ExecutionIndex } from './execution-index.js';
import type { ExecutionLog } from './execution-log.js';
import type { LogStore } from './log-store.js';

/** Logs are kept this long after `ended`. */
export const LOG_KEPT_MS = 3_600_000;
/** What is known of an execution is kept this long after its end. */
export const ENTRY_KEPT_MS = 24 * 3_600_000;
export const MAX_ENTRIES = 100_000;

const SWEEP_MS = 30_000;
/** Memory for the logs of executions that ended lately, for the readers who come now. */
const RECENT_BYTES = 2 * 1024 * 1024;

export interface EndedEntriesDeps {
  readonly store: LogStore;
  readonly index: ExecutionIndex;
  readonly clock: Clock;
  /** Executions that have not ended, which count among MAX_ENTRIES. */
  readonly liveCount: () => number;
  /** Told of an entry that nobody can find any more from here on. */
  readonly onForget: (entry: Entry) => void;
}

/** What has ended, and for how long it is kept: in memory, on disk, and by name. */
export class EndedEntries {
  readonly #deps: EndedEntriesDeps;
  /** In the order of their ends; the first `#expiredLogs` of them have no log any more. */
  #entries: Entry[] = [];
  #expiredLogs = 0;
  /** Those whose logs are in memory, and how much that is. */
  #recent: Entry[] = [];
  #recentBytes = 0;
  #sweepTimer: Timer | undefined;

  constructor(deps: EndedEntriesDeps) {
    this.#deps = deps;
  }

  /** Takes over what an earlier incarnation left, and gives up from now on what was kept long enough. */
  open(recovered: readonly Entry[]): void {
    this.#entries = [...recovered].sort((a, b) => a.end!.endMs - b.end!.endMs);
    const nowMs = this.#deps.clock.wallMs();
    for (const entry of this.#entries) {
      entry.logExpired = entry.end!.endMs + LOG_KEPT_MS <= nowMs;
      if (entry.logExpired) this.#expiredLogs++;
      else this.#deps.store.adoptEnded(entry.accepted.key, entry.end!.location);
    }
    void this.#deps.store.removeUnknown();
    this.#scheduleSweep();
    void this.sweep();
  }

  close(): void {
    this.#sweepTimer?.cancel();
  }

  add(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** Keeps the newest ended logs in memory, as their readers mostly come at once. */
  keepRecent(entry: Entry, log: ExecutionLog): void {
    this.#recent.push(entry);
    this.#recentBytes += log.memoryBytes;
    while (this.#recentBytes > RECENT_BYTES) {
      const oldest = this.#recent.shift()!;
      this.#recentBytes -= oldest.log?.memoryBytes ?? 0;
      dropMemory(oldest);
    }
  }

  /** Gives up what was kept long enough. */
  async sweep(): Promise<void> {
    const nowMs = this.#deps.clock.wallMs();
    const forgotten: Promise<void>[] = [];
    while (this.#expiredLogs < this.#entries.length) {
      const entry = this.#entries[this.#expiredLogs]!;
      if (entry.end!.endMs + LOG_KEPT_MS > nowMs) break;
      forgotten.push(this.#expireLog(entry));
      this.#expiredLogs++;
    }
    let gone = 0;
    while (gone < this.#entries.length) {
      const entry = this.#entries[gone]!;
      const tooMany = this.#entries.length - gone + this.#deps.liveCount() > MAX_ENTRIES;
      if (entry.end!.endMs + ENTRY_KEPT_MS > nowMs && !tooMany) break;
      forgotten.push(this.#forget(entry));
      gone++;
    }
    this.#entries.splice(0, gone);
    this.#expiredLogs = Math.max(0, this.#expiredLogs - gone);
    await Promise.all(forgotten);
  }

  async #expireLog(entry: Entry): Promise<void> {
    entry.logExpired = true;
    const at = this.#recent.indexOf(entry);
    if (at >= 0) {
      this.#recent.splice(at, 1);
      this.#recentBytes -= entry.log?.memoryBytes ?? 0;
    }
    dropMemory(entry);
    await this.#deps.store.forget(entry.accepted.key, entry.end!.location);
  }

  async #forget(entry: Entry): Promise<void> {
    if (!entry.logExpired) await this.#expireLog(entry);
    this.#deps.onForget(entry);
    await this.#deps.index.forget(entry.slot);
  }

  #scheduleSweep(): void {
    this.#sweepTimer = this.#deps.clock.setTimer(SWEEP_MS, () => {
      void this.sweep();
      this.#scheduleSweep();
    });
  }
}

function dropMemory(entry: Entry): void {
  entry.log?.release();
  entry.log = undefined;
  if (entry.accepted.command.length > COMMAND_IN_MEMORY)
    (entry as { accepted: AcceptedExecution }).accepted = shorten(entry.accepted);
}
