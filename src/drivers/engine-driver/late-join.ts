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
 * @throws LateJoinRefused; StatusError SHIP_START_FAILED where the container has ended; the engine's error where it does not
 *   answer, or the network is gone
 */
export async function joinLate(
  engine: Engine,
  { containerId, network }: { readonly containerId: string; readonly network: string },
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
    await call(network, 'connect');
  } catch (error) {
    signal.throwIfAborted();
    if (statusOf(error) === undefined || isNotThere(error)) throw error;
    const found = await findContainer(engine, containerId, signal);
    if (found?.State.Running) throw new LateJoinRefused(engineTrouble(error), { cause: error });
    const end = found ? `its container ended with exit code ${found.State.ExitCode}` : 'its container is gone';
    throw new StatusError('SHIP_START_FAILED', end);
  }
}
