import type { Kernel } from '../../proto/gen/shipyard/execution/v1/execution.js';

/** Passes kernels' changes on to watchers, who may come before the first kernel. */
export class KernelChanges {
  readonly #listeners = new Set<(kernel: Kernel) => void>();

  tell(kernel: Kernel): void {
    for (const listener of this.#listeners) listener(kernel);
  }

  on(listener: (kernel: Kernel) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
