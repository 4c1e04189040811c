import { setTimeout as sleep } from 'node:timers/promises';
import { bounded, type Engine } from './engine.js';
import { engineTrouble, isNotThere, statusOf, toDriverError } from './engine-error.js';
import { findContainer } from './inspect-container.js';

const LOOK_MS = 20;

/**
 * Somebody removes it already, or it is paused and has to go on first (409); Podman's words where it ended by itself just
 * before the signal.
 */
const isOnItsWay = (error: unknown) =>
  statusOf(error) === 409 || engineTrouble(error).includes('container state improper');

/**
 * Ends a container by force and removes it, and answers when it is gone. Safe to repeat, also at once: of several who
 * remove it all wait for the one that does.
 */
export async function removeContainer(engine: Engine, container: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await engine.docker.getContainer(container).remove({ force: true, v: true, abortSignal: bounded(signal) });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (isNotThere(error)) return;
      if (!isOnItsWay(error)) throw toDriverError(engine, 'removing a ship', error);
    }
    const left = await findContainer(engine, container, signal);
    if (!left) return;
    if (left.State.Paused)
      await engine.docker
        .getContainer(container)
        .unpause({ abortSignal: bounded(signal) })
        .catch(() => undefined);
    await sleep(LOOK_MS, undefined, { signal });
  }
}
