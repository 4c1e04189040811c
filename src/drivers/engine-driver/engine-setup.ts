import path from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { findBayContainer, joinNetwork, pathOnMachine } from './bay-container.js';
import { findEngine, type Engine } from './engine.js';
import { engineTrouble } from './engine-error.js';
import { ensureImage, type ShipImage } from './image.js';
import { ensureNetwork } from './network.js';
import { applyNetworkPolicy, setFilter, type NetworkPolicy, type PolicyDeps } from './network-policy.js';
import { isOnHost, kindOf, type EngineDriverOptions } from './options.js';
import { prepareFolders, type ShipFolders } from './ship-folders.js';
import { ShipWatch } from './ship-watch.js';

/** An engine that is ready for ships. */
export interface EngineSetup {
  readonly engine: Engine;
  readonly image: ShipImage;
  readonly policy: NetworkPolicy;
  readonly folders: ShipFolders;
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

  const shipNetwork = await ensureNetwork(engine, options.network, options.deploymentId, signal);
  if (bay) await joinNetwork(engine, bay, options.network, signal);
  const policyDeps: PolicyDeps = {
    ...helper,
    shipNetwork,
    allow: options.shipNetworkAllow,
    ...(bay ? { bayContainerId: bay.id } : {}),
  };
  const policy = await applyNetworkPolicy(policyDeps, options.shipNetwork, signal);
  const refilter = policy.filtered ? filterKeeper(policyDeps, options) : () => undefined;
  const watch = new ShipWatch({
    engine,
    deploymentId: options.deploymentId,
    network: options.network,
    log: options.logger,
    onNetworkDoubt: refilter,
  });
  return { engine, image, policy, folders, watch, dataOnMachine: (shipId) => path.join(folders.onMachine, shipId) };
}

const FILTER_TIMEOUT_MS = 60_000;

/** Sets the filter anew when asked, one time after the other, and once for all that asked meanwhile. */
function filterKeeper(deps: PolicyDeps, { logger }: EngineDriverOptions): () => void {
  let running = false;
  let asked = false;
  const work = async (): Promise<void> => {
    while (asked) {
      asked = false;
      const problem = await setFilter(deps, AbortSignal.timeout(FILTER_TIMEOUT_MS)).then(
        (outcome) => outcome.problem,
        engineTrouble,
      );
      if (problem !== undefined)
        logger.error({ network: deps.shipNetwork.name, problem }, 'the network filter of ships could not be set anew');
    }
    running = false;
  };
  return () => {
    asked = true;
    if (running) return;
    running = true;
    void work();
  };
}
