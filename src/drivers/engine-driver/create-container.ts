import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { ContainerCreateOptions } from 'dockerode';
import type { Log } from '../../telemetry/log.js';
import { waitOrUndo } from '../wait-or-undo.js';
import { bounded, type Engine } from './engine.js';
import { engineTrouble, statusOf } from './engine-error.js';
import { removeContainer } from './remove-container.js';

/** For another call that makes a container of this name to come to its end. */
const PAUSE_MS = 50;
/** An engine that is well makes a container within this time, and a start that is given up then leaves nothing. */
const GRACE_MS = 1_000;

export interface CreateDeps {
  readonly engine: Engine;
  readonly log: Log;
  /** Removes what the engine makes beside a container, where nothing is in it: Podman makes the folders that it mounts. */
  readonly removeBeside: () => Promise<void>;
  /** How long a caller who left is kept, so that nothing is left of what was given up. */
  readonly graceMs?: number;
}

export interface NewContainer extends ContainerCreateOptions {
  readonly name: string;
}

/**
 * Makes an incarnation's container. What has its name already was left by an interrupted start, or comes late of one that
 * was given up, and is removed.
 *
 * @throws the signal's reason, after the grace at the latest: a container that comes after that is removed when it does
 */
export async function createContainer(
  deps: CreateDeps,
  spec: NewContainer,
  signal: AbortSignal,
): Promise<Docker.Container> {
  const patience = bounded(signal);
  for (;;) {
    try {
      return await createOnce(deps, spec, signal);
    } catch (error) {
      if (patience.aborted || !isNameTaken(error)) throw error;
    }
    await removeContainer(deps.engine, spec.name, signal);
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/** The late one goes by its id, since its name may be that of a newer start by then. */
function createOnce(
  { engine, log, removeBeside, graceMs = GRACE_MS }: CreateDeps,
  spec: NewContainer,
  signal: AbortSignal,
): Promise<Docker.Container> {
  const making = engine.docker.createContainer({ ...spec, abortSignal: bounded() });
  const late = {
    undo: async ({ id }: Docker.Container) => {
      await removeContainer(engine, id, bounded());
      await removeBeside();
    },
    failed: (error: unknown) => {
      if (statusOf(error) !== undefined) return; // the engine refused, and made nothing
      const reason = engineTrouble(error);
      log.warn({ container: spec.name, reason }, 'a container that came too late may be left until it is found');
    },
  };
  return waitOrUndo(making, signal, late, graceMs);
}

/** Docker says 409, Podman 500. */
const isNameTaken = (error: unknown): boolean =>
  statusOf(error) !== undefined && /\bname\b.*\bis already in use\b/i.test(engineTrouble(error));
