/** Cells of a session that wait for its kernel. */
export const MAX_WAITING_CELLS = 256;

export interface QueuedWork {
  /** Resolves when the kernel is free again; never rejects. */
  run(): Promise<void>;
}

/** Gives a session's kernel one cell at a time, first in, first out. */
export class CellQueue {
  #running: QueuedWork | undefined;
  #waiting: QueuedWork[] = [];

  /** Cells that come before one that is added now. */
  get ahead(): number {
    return this.#waiting.length + (this.#running ? 1 : 0);
  }

  get full(): boolean {
    return this.#waiting.length >= MAX_WAITING_CELLS;
  }

  add(work: QueuedWork): void {
    this.#waiting.push(work);
    this.#next();
  }

  /** Takes waiting work out; the running one is not touched. */
  remove(work: QueuedWork): void {
    this.#waiting = this.#waiting.filter((other) => other !== work);
  }

  #next(): void {
    if (this.#running || this.#waiting.length === 0) return;
    const work = this.#waiting.shift()!;
    this.#running = work;
    void work.run().then(() => {
      this.#running = undefined;
      this.#next();
    });
  }
}
