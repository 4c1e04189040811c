import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Log } from '../../telemetry/log.js';
import { callEngine } from './call-engine.js';
import { bounded, type Engine } from './engine.js';
import { engineTrouble, isNotThere, statusOf } from './engine-error.js';
import { endOf, findContainer } from './inspect-container.js';

/** An engine that is well does not do it to this container, which lives. */
export class LateJoinRefused extends Error {}

/** What Docker calls the network of containers that have none. */
const NO_NETWORK = 'none';
/** In a row. Fewer may come of a moment's trouble; each costs a start its time. */
const MOST_REFUSALS = 3;

/**
 * Puts containers that started without a network on one. Docker takes 75 ms and more to make a container's part of a
 * network (a resolver, rules for it, a pair of interfaces), and starts its process only then: so that time is the agent's,
 * who needs no network until Bay dials.
 */
export class LateJoin {
  readonly #engine: Engine;
  readonly #log: Log;
  #refusals = 0;

  constructor(engine: Engine, log: Log) {
    this.#engine = engine;
    this.#log = log;
  }

  /** Whether the engine is worth asking. */
  get serves(): boolean {
    return this.#refusals < MOST_REFUSALS;
  }

  /**
   * @param networkId and no name, which may be that of another network by now, without a filter
   * @throws LateJoinRefused; StatusError SHIP_START_FAILED where the container has ended, DRIVER_UNAVAILABLE where the
   *   network is gone; the engine's error where it does not answer
   */
  async join(containerId: string, networkId: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#call(NO_NETWORK, 'disconnect', containerId, signal);
      await this.#call(networkId, 'connect', containerId, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (statusOf(error) === undefined) throw error;
      const found = await findContainer(this.#engine, containerId, signal);
      if (!found?.State.Running) throw new StatusError('SHIP_START_FAILED', endOf(found));
      if (isNotThere(error))
        throw new StatusError('DRIVER_UNAVAILABLE', 'the network of ships went away', { cause: error });
      throw new LateJoinRefused(engineTrouble(error), { cause: error });
    }
    this.#refusals = 0;
  }

  /** Told of a refusal once the same ship has started with its network: so it was of the late join alone. */
  wasRefused({ message: problem }: LateJoinRefused): void {
    this.#refusals += 1;
    if (this.#refusals !== MOST_REFUSALS) return;
    const message = 'the engine does not put running ships on their network: each start takes somewhat longer';
    this.#log.warn({ problem }, message);
  }

  async #call(network: string, act: 'connect' | 'disconnect', containerId: string, signal: AbortSignal): Promise<void> {
    await callEngine(this.#engine, {
      method: 'POST',
      path: `/networks/${encodeURIComponent(network)}/${act}`,
      body: { Container: containerId },
      answer: 'json',
      signal: bounded(signal),
    });
  }
}
