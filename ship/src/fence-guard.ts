import type { Fence } from '../../proto/gen/shipyard/ship/v1/ship.js';
import { missing } from '../../proto/rpc/invalid-argument.js';
import { StatusError } from '../../proto/rpc/status-error.js';

/** Lets only the newest word of the store act on the ship as a whole. */
export class FenceGuard {
  #number = 0;

  constructor(private readonly incarnation: number) {}

  /** @throws StatusError FENCED, INVALID_ARGUMENT */
  check(fence: Fence | undefined): void {
    if (!fence) throw missing('fence');
    if (fence.incarnation !== this.incarnation)
      throw new StatusError('FENCED', `this is incarnation ${this.incarnation}, not ${fence.incarnation}`, {
        details: { incarnation: this.incarnation },
      });
    if (fence.number < this.#number)
      throw new StatusError('FENCED', `fence ${fence.number} is older than ${this.#number}`, {
        details: { number: this.#number },
      });
    this.#number = fence.number;
  }
}
