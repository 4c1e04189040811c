import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import type { ContainerInspectInfo } from 'dockerode';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { callEngine } from './call-engine.js';
import { bounded, type Engine } from './engine.js';
import { isNotThere, toDriverError } from './engine-error.js';
import type { EngineMode } from './options.js';

/** The container in which this Bay runs. */
export interface BayContainer {
  readonly id: string;
  /** Where its folders lie on the engine's machine. */
  readonly mounts: readonly { readonly source: string; readonly destination: string }[];
  readonly networks: readonly string[];
}

/** @throws StatusError DRIVER_REFUSED where this process is in no container of this engine */
export async function findBayContainer(engine: Engine, mode: EngineMode, signal: AbortSignal): Promise<BayContainer> {
  const found = await lookForBayContainer(engine, signal);
  if (found) return found;
  const message = `CONTAINER_DRIVER=${mode} is for a Bay in a container of that engine, and this process is in none that ${engine.url} knows: use ${mode}-host`;
  throw new StatusError('DRIVER_REFUSED', message);
}

/** @returns undefined where this process is in no container of this engine; it may be in one of another */
export async function lookForBayContainer(engine: Engine, signal: AbortSignal): Promise<BayContainer | undefined> {
  for (const id of candidates()) {
    const found = await inspect(engine, id, signal);
    if (!found) continue;
    const mounts = found.Mounts.map(({ Source, Destination }) => ({ source: Source, destination: Destination }));
    return { id: found.Id, mounts, networks: Object.keys(found.NetworkSettings.Networks) };
  }
  return undefined;
}

/** Ids under which this process's container may be known: engines mount a hostname file from the container's own folder. */
function candidates(): string[] {
  const mounted = /\/(?:containers|overlay-containers)\/([0-9a-f]{64})\//g;
  const ids = [...readFileSync('/proc/self/mountinfo', 'utf8').matchAll(mounted)].map(([, id = '']) => id);
  return [...new Set([...ids, hostname()])];
}

async function inspect(engine: Engine, id: string, signal: AbortSignal): Promise<ContainerInspectInfo | undefined> {
  try {
    return await engine.docker.getContainer(id).inspect({ abortSignal: bounded(signal) });
  } catch (error) {
    signal.throwIfAborted();
    if (isNotThere(error)) return undefined;
    throw toDriverError(engine, "looking for Bay's own container", error);
  }
}

/** Bay dials ships by their addresses, so it has to be on their network too. */
export async function joinNetwork(
  engine: Engine,
  bay: BayContainer,
  network: string,
  signal: AbortSignal,
): Promise<void> {
  if (bay.networks.includes(network)) return;
  try {
    const path = `/networks/${encodeURIComponent(network)}/connect`;
    const body = { Container: bay.id };
    await callEngine(engine, { method: 'POST', path, body, answer: 'json', signal: bounded(signal) });
  } catch (error) {
    throw toDriverError(engine, `connecting Bay to the network ${network}`, error);
  }
}

/**
 * A folder of Bay's as the engine's machine has it.
 *
 * @throws StatusError DRIVER_REFUSED where it is not mounted, so that ships could not have it
 */
export function pathOnMachine({ mounts }: BayContainer, folder: string): string {
  const fitting = mounts
    .filter(({ destination }) => folder === destination || folder.startsWith(`${destination.replace(/\/$/, '')}/`))
    .sort((a, b) => b.destination.length - a.destination.length)[0];
  if (fitting) return path.join(fitting.source, path.relative(fitting.destination, folder));
  const message = `SHIP_DATA_DIR=${folder} lies inside Bay's own container, where ships cannot have it: mount a folder of the machine there (-v ${folder}:${folder})`;
  throw new StatusError('DRIVER_REFUSED', message);
}
