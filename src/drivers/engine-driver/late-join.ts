import { StatusError } from '../../../proto/rpc/status-error.js';
import { callEngine } from './call-engine.js';
import { bounded, type Engine } from './engine.js';
import { engineTrouble, isNotThere, statusOf } from './engine-error.js';
import { findContainer } from './inspect-container.js';

/** An engine that is well does not do it to this container, which lives. */
export class LateJoinRefused extends Error {}

/** What Docker calls the network of containers that have none. */
const NO_NETWORK = 'none';

/**
 * Puts a container that started without a network on one. Docker takes 75 ms and more to make a container's part of a
 * network (a resolver, rules for it, a pair of interfaces), and starts its process only then: so that time is the agent's,
 * who needs no network until Bay dials.
 *
 * @param networkId and no name, which may be that of another network by now, without a filter
 * @throws LateJoinRefused; StatusError SHIP_START_FAILED where the container has ended, DRIVER_UNAVAILABLE where the network
 *   is gone; the engine's error where it does not answer
 */
export async function joinLate(
  engine: Engine,
  { containerId, networkId }: { readonly containerId: string; readonly networkId: string },
  signal: AbortSignal,
): Promise<void> {
  const call = (name: string, act: 'connect' | 'disconnect') =>
    callEngine(engine, {
      method: 'POST',
      path: `/networks/${encodeURIComponent(name)}/${act}`,
      body: { Container: containerId },
      answer: 'json',
      signal: bounded(signal),
    });
  try {
    await call(NO_NETWORK, 'disconnect');
    await call(networkId, 'connect');
  } catch (error) {
    signal.throwIfAborted();
    if (statusOf(error) === undefined) throw error;
    const found = await findContainer(engine, containerId, signal);
    if (!found) throw new StatusError('SHIP_START_FAILED', 'its container is gone');
    if (!found.State.Running)
      throw new StatusError('SHIP_START_FAILED', `its container ended with exit code ${found.State.ExitCode}`);
    if (isNotThere(error))
      throw new StatusError('DRIVER_UNAVAILABLE', 'the network of ships went away', { cause: error });
    throw new LateJoinRefused(engineTrouble(error), { cause: error });
  }
}
