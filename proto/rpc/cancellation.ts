/**
 * The cancellation of one call. Most calls end uncancelled and unwatched, and an AbortSignal of Node is slow to make and to
 * listen to (a tenth of a small call), so there is one only for whoever asks for it.
 */

/** What the kit needs of an AbortSignal, and every AbortSignal is. */
export interface Cancellation {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Aborted once by its owner. Listeners are called in their order, and must not throw. */
export class CancellationSource implements Cancellation {
  #aborted = false;
  #reason: unknown;
  #listeners: (() => void)[] | undefined;
  #controller: AbortController | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** The same as an AbortSignal; made when it is first asked for. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  /** Every listener is called once at most, as an abort comes once. */
  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.#aborted) return;
    if (!this.#listeners) this.#listeners = [listener];
    else if (!this.#listeners.includes(listener)) this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const index = this.#listeners?.indexOf(listener) ?? -1;
    if (index >= 0) this.#listeners?.splice(index, 1);
  }

  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    // One that another removes meanwhile is not called.
    for (let listener = this.#listeners?.shift(); listener; listener = this.#listeners?.shift()) listener();
  }
}
