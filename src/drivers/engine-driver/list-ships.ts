import type { ContainerInfo } from 'dockerode';
import type { Ship } from '../../ships/ship.js';
import type { FoundShip } from '../driver.js';
import { bounded, type Engine } from './engine.js';
import { toDriverError } from './engine-error.js';
import { INSIDE } from '../inside.js';
import { LABEL, shipLabels, withLabels } from './labels.js';
import type { EngineDriverOptions } from './options.js';
import { removeContainer } from './remove-container.js';
import { shipEndpoint } from './ship-endpoint.js';

/**
 * Every ship of this deployment that lives, also one whose start was interrupted.
 *
 * @param network the name of the network of ships
 */
export async function listShips(engine: Engine, network: string, options: EngineDriverOptions): Promise<FoundShip[]> {
  const all = await listContainers(engine, { [LABEL.deployment]: options.deploymentId });
  return all.filter(({ State }) => !ENDED.has(State)).flatMap((container) => toFoundShip(container, network, options));
}

const ENDED = new Set(['exited', 'dead', 'removing', 'stopped', 'stopping']);
/** What tells of an ended ship is kept this long for whoever still has its row. */
const KEEP_TRACES_S = 3600;

/** Removes what earlier lives of Bay left: helpers, and ended ships that nobody asked for any more. */
export async function removeLeftOvers(engine: Engine, deploymentId: string, signal: AbortSignal): Promise<void> {
  const old = (created: number) => Date.now() / 1000 - created > KEEP_TRACES_S;
  const left = (await listContainers(engine, { [LABEL.deployment]: deploymentId }, signal)).filter(
    ({ State, Labels, Created }) =>
      old(Created) && (Labels[LABEL.role] === 'helper' || (ENDED.has(State) && Labels[LABEL.ship] !== undefined)),
  );
  for (const { Id } of left) await removeContainer(engine, Id, signal);
}

/** Ids of an incarnation's containers, whatever they are called by now. */
export async function containersOf(
  engine: Engine,
  deploymentId: string,
  ship: Pick<Ship, 'id' | 'incarnation'>,
  signal: AbortSignal,
): Promise<string[]> {
  return (await listContainers(engine, shipLabels(deploymentId, ship), signal)).map(({ Id }) => Id);
}

async function listContainers(
  engine: Engine,
  labels: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<ContainerInfo[]> {
  try {
    const filters = withLabels(labels);
    return await engine.docker.listContainers({ all: true, filters, abortSignal: bounded(signal) });
  } catch (error) {
    signal?.throwIfAborted();
    throw toDriverError(engine, 'looking for ships', error);
  }
}

function toFoundShip(container: ContainerInfo, network: string, options: EngineDriverOptions): FoundShip[] {
  const { Id, Labels, Ports, NetworkSettings } = container;
  const shipId = Labels[LABEL.ship];
  const incarnation = Number(Labels[LABEL.incarnation]);
  if (shipId === undefined || !Number.isSafeInteger(incarnation)) return [];
  const publishedPort = Ports?.find(
    ({ PrivatePort, PublicPort }) => PrivatePort === INSIDE.port && PublicPort,
  )?.PublicPort;
  const address = NetworkSettings?.Networks?.[network]?.IPAddress;
  const endpoint = shipEndpoint(
    shipId,
    { ...(publishedPort ? { publishedPort } : {}), ...(address ? { address } : {}) },
    options,
    Labels[LABEL.network],
  );
  return [{ shipId, incarnation, handle: endpoint ? { containerId: Id, endpoint } : { containerId: Id } }];
}
