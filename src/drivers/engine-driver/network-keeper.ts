import { orAborted } from '../../../proto/rpc/or-aborted.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { findBayContainer, joinNetwork } from './bay-container.js';
import type { Engine } from './engine.js';
import { engineTrouble } from './engine-error.js';
import { hasFilter, setFilter, type FilterDeps } from './filter.js';
import { ensureNetwork, findNetwork, type ShipNetwork } from './network.js';
import { applyNetworkPolicy, type NetworkPolicy } from './network-policy.js';
import { isOnHost, type EngineDriverOptions } from './options.js';

export interface NetworkKeeperDeps {
  readonly engine: Engine;
  /** Of the helpers that set the filter. */
  readonly image: string;
  readonly options: EngineDriverOptions;
}

/** Bounds what is done to the network beside the start of Bay. */
const TIMEOUT_MS = 60_000;
/** What flushes the machine's packet filter, as a reload of its rules does, tells nobody. */
const LOOK_EVERY_MS = 5 * 60_000;

/** Keeps the network of ships as it has to be, whatever is done to it behind Bay's back: there, and under its filter. */
export class NetworkKeeper {
  readonly policy: NetworkPolicy;
  readonly #deps: NetworkKeeperDeps;
  readonly #timer: NodeJS.Timeout | undefined;
  #filter: FilterDeps;
  #renewing: Promise<void> | undefined;
  #checking = false;
  #asked = false;

  /** Makes the network where it is missing, and brings the policy in force. @throws StatusError as those do */
  static async open(deps: NetworkKeeperDeps, signal: AbortSignal): Promise<NetworkKeeper> {
    const prepared = await prepare(deps, signal);
    return new NetworkKeeper(deps, prepared);
  }

  private constructor(deps: NetworkKeeperDeps, { filter, policy }: Prepared) {
    this.#deps = deps;
    this.#filter = filter;
    this.policy = policy;
    if (policy.filtered) this.#timer = setInterval(() => this.doubt(), LOOK_EVERY_MS).unref();
  }

  /** As it was found last. */
  get shipNetwork(): ShipNetwork {
    return this.#filter.shipNetwork;
  }

  /**
   * Before a start: makes the network that is missing, and filters one that was made anew.
   *
   * @throws StatusError DRIVER_UNAVAILABLE, DRIVER_REFUSED where ships on it would not be held as they have to be
   */
  async ensure(signal: AbortSignal): Promise<void> {
    if (this.policy.network === 'none') return;
    const { engine, options } = this.#deps;
    const found = await findNetwork(engine, options.network, signal);
    if (found?.incarnation === this.#filter.shipNetwork.incarnation) return;
    await orAborted(this.#renew(), signal);
  }

  /** The network or its filter may have been lost: looks, and sets the filter anew, once for all that ask meanwhile. */
  doubt(): void {
    if (!this.policy.filtered) return;
    this.#asked = true;
    if (!this.#checking) void this.#check();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    this.#checking = true;
    while (this.#asked) {
      this.#asked = false;
      const problem = await this.#restore(AbortSignal.timeout(TIMEOUT_MS)).catch(engineTrouble);
      const { network, logger } = this.#deps.options;
      if (problem !== undefined)
        logger.error({ network, problem }, 'the network filter of ships could not be set anew');
    }
    this.#checking = false;
  }

  /** @returns why it cannot */
  async #restore(signal: AbortSignal): Promise<string | undefined> {
    const { engine, options } = this.#deps;
    const found = await findNetwork(engine, options.network, signal);
    if (!found) return undefined; // made by the next start
    if (found.incarnation !== this.#filter.shipNetwork.incarnation) {
      await this.#renew();
      return undefined;
    }
    const { problem, tables } = await setFilter(this.#filter, signal);
    if (problem === undefined && !hasFilter(this.#filter, tables))
      options.logger.warn({ network: found.name }, 'the network filter of ships was gone from the machine: it is back');
    return problem;
  }

  /** One time for all starts that wait for it. */
  #renew(): Promise<void> {
    this.#renewing ??= this.#prepareAgain(AbortSignal.timeout(TIMEOUT_MS)).finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  async #prepareAgain(signal: AbortSignal): Promise<void> {
    const { logger, network } = this.#deps.options;
    const { filter, policy } = await prepare(this.#deps, signal);
    if (this.policy.filtered && !policy.filtered) {
      const message = 'the network of ships was made anew and cannot be filtered: see the log of Bay';
      throw new StatusError('DRIVER_UNAVAILABLE', message, { cause: new Error(policy.warnings.join('; ')) });
    }
    this.#filter = filter;
    logger.warn(
      { network, filtered: policy.filtered },
      'the network of ships was gone or made anew: it is ready again',
    );
  }
}

interface Prepared {
  readonly filter: FilterDeps;
  readonly policy: NetworkPolicy;
}

async function prepare({ engine, image, options }: NetworkKeeperDeps, signal: AbortSignal): Promise<Prepared> {
  const { mode, network, deploymentId, shipNetworkAllow: allow } = options;
  const shipNetwork = await ensureNetwork(engine, network, deploymentId, signal);
  const bay = isOnHost(mode) ? undefined : await findBayContainer(engine, mode, signal);
  if (bay) await joinNetwork(engine, bay, network, signal);
  const filter = { engine, image, deploymentId, shipNetwork, allow, ...(bay ? { bayContainerId: bay.id } : {}) };
  return { filter, policy: await applyNetworkPolicy(filter, options.shipNetwork, signal) };
}
