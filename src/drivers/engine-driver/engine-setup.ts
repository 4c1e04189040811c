import path from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { findBayContainer, pathOnMachine } from './bay-container.js';
import { bounded, findEngine, type Engine } from './engine.js';
import { ensureImage, type ShipImage } from './image.js';
import { LateJoin } from './late-join.js';
import { NetworkKeeper } from './network-keeper.js';
import type { NetworkPolicy } from './network-policy.js';
import { isOnHost, kindOf, type EngineDriverOptions } from './options.js';
import { prepareFolders, type ShipFolders } from './ship-folders.js';
import { ShipWatch } from './ship-watch.js';

/** An engine that is ready for ships. */
export interface EngineSetup {
  readonly engine: Engine;
  readonly image: ShipImage;
  readonly policy: NetworkPolicy;
  readonly network: NetworkKeeper;
  readonly folders: ShipFolders;
  readonly lateJoin: LateJoin;
  readonly watch: ShipWatch;
  /** A ship's own folder, as the engine's machine has it. */
  dataOnMachine(shipId: string): string;
}

/**
 * Finds the engine and prepares it: image, network with its rules, folder of data, the stream of events.
 *
 * @throws StatusError DRIVER_UNAVAILABLE, DRIVER_REFUSED, each with its remedy
 */
export async function setUpEngine(options: EngineDriverOptions, signal: AbortSignal): Promise<EngineSetup> {
  const engine = await findEngine(kindOf(options.mode), options.addresses, signal);
  if (options.runtime !== undefined && !engine.runtimes.includes(options.runtime)) {
    const message = `SHIP_RUNTIME=${options.runtime} is not known to ${engine.kind}, which has ${engine.runtimes.join(', ')}`;
    throw new StatusError('DRIVER_REFUSED', message);
  }
  const image = await ensureImage(engine, options.image, options.logger, signal);
  const bay = isOnHost(options.mode) ? undefined : await findBayContainer(engine, options.mode, signal);
  const seenByBay = options.shipDataDir;
  const folders = { seenByBay, onMachine: bay ? pathOnMachine(bay, seenByBay) : seenByBay };
  const helper = { engine, image: image.id, deploymentId: options.deploymentId };
  await prepareFolders(helper, folders, signal);

  const network = await NetworkKeeper.open({ engine, image: image.id, options }, bounded(signal));
  const watch = new ShipWatch({
    engine,
    deploymentId: options.deploymentId,
    network: network.shipNetwork.name,
    log: options.logger,
    onNetworkDoubt: () => network.doubt(),
  });
  const dataOnMachine = (shipId: string) => path.join(folders.onMachine, shipId);
  const lateJoin = new LateJoin(engine, options.logger);
  return { engine, image, policy: network.policy, network, lateJoin, folders, watch, dataOnMachine };
}
