import type { ContainerInspectInfo } from 'dockerode';
import type { Inspection } from '../driver.js';
import { KILLED, OUT_OF_MEMORY, reasonOf } from '../end-reason.js';
import { bounded, type Engine } from './engine.js';
import { isNotThere, toDriverError } from './engine-error.js';

/**
 * What the engine says of a container, by id or name.
 *
 * @param endedForMemory what events told of its end; undefined where nobody watched, and the engine's own mark counts
 */
export async function inspectContainer(
  engine: Engine,
  container: string,
  endedForMemory: boolean | undefined,
  signal?: AbortSignal,
): Promise<Inspection> {
  const found = await findContainer(engine, container, signal);
  if (!found) return { state: 'gone', reason: 'its container is gone' };
  const { Running, Paused, Restarting, ExitCode, OOMKilled, Status } = found.State;
  if (Running || Paused || Restarting) return { state: 'running' };
  if (Status === 'created' || Status === 'configured')
    return { state: 'gone', reason: 'its container was never started' };
  const oom = endedForMemory ?? (OOMKilled && ExitCode === KILLED);
  return { state: 'gone', reason: oom ? OUT_OF_MEMORY : reasonOf(ExitCode), ...(oom ? { oom } : {}) };
}

/** @returns undefined where the engine has none of that id or name. @throws StatusError DRIVER_UNAVAILABLE */
export async function findContainer(
  engine: Engine,
  container: string,
  signal?: AbortSignal,
): Promise<ContainerInspectInfo | undefined> {
  try {
    return await engine.docker.getContainer(container).inspect({ abortSignal: bounded(signal) });
  } catch (error) {
    signal?.throwIfAborted();
    if (isNotThere(error)) return undefined;
    throw toDriverError(engine, 'looking at a ship', error);
  }
}

/** Why a container, as it was found, is of no use to a start. */
export function endOf(found: ContainerInspectInfo | undefined): string {
  if (!found) return 'its container is gone';
  const { Running, ExitCode } = found.State;
  return Running ? 'the engine gave it no address' : `its container ended with exit code ${ExitCode}`;
}
