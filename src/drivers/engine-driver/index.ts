import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Ship } from '../../ships/ship.js';
import type { Driver, DriverReport, FoundShip, Inspection } from '../driver.js';
import { dataPathsOf, hasShipData, removeShipData, sweepRemovals } from '../ship-data.js';
import { callEngine } from './call-engine.js';
import { toDriverError } from './engine-error.js';
import { setUpEngine, type EngineSetup } from './engine-setup.js';
import { inspectContainer } from './inspect-container.js';
import { containerName } from './labels.js';
import { containersOf, listShips, removeLeftOvers } from './list-ships.js';
import type { EngineDriverOptions } from './options.js';
import { streamLogs } from './read-logs.js';
import { removeContainer } from './remove-container.js';
import { removeForeign } from './ship-folders.js';
import { containerIdOf, toShipHandle } from './ship-handle.js';
import { startShip } from './start-ship.js';
import { findContainer } from './inspect-container.js';

export type { EngineAddresses, EngineDriverOptions, EngineMode } from './options.js';
export { lookForBayContainer } from './bay-container.js';
export { findEngine } from './engine.js';
export { findImage } from './image.js';

/** First uid of sessions in a container; /etc/passwd of the image names those from here on. */
const UID_BASE = 10_000;

/**
 * Ships as containers of Docker or Podman, with Bay on the engine's machine or in a container beside them. All that is
 * known of them lies in the engine, in labels of ours.
 */
export function createEngineDriver(options: EngineDriverOptions): Driver {
  return new EngineDriver(options);
}

class EngineDriver implements Driver {
  readonly name: string;
  readonly uids = { scope: 'ship', base: UID_BASE } as const;
  readonly #options: EngineDriverOptions;
  #setup: Promise<EngineSetup> | undefined;
  #cpus: number | undefined;

  constructor(options: EngineDriverOptions) {
    this.name = options.mode;
    this.#options = options;
  }

  get startsAtOnce() {
    return this.#cpus;
  }

  async check(signal: AbortSignal): Promise<DriverReport> {
    const setup = await this.#ready(signal);
    const { engine, image, policy } = setup;
    await removeLeftOvers(engine, this.#options.deploymentId, signal);
    // Large removals go on beside the start.
    sweepRemovals(this.#options.shipDataDir, this.#removeForeign(setup)).catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, 'removal of data failed'),
    );
    const limits = Object.entries(engine.limits).flatMap(([name, kept]) => (kept ? [name] : []));
    const missing = Object.entries(engine.limits).flatMap(([name, kept]) =>
      kept ? [] : [`no ${name} limit: ${engine.kind} cannot set it here`],
    );
    const rights = engine.rootless ? 'without root' : 'as root';
    return {
      summary: `${this.name}: ${engine.kind} ${engine.version} ${rights} at ${engine.url}; image ${this.#options.image} ${image.version}; network ${policy.network}; limits ${limits.join(', ') || 'none'}`,
      network: policy.network,
      warnings: [...policy.warnings, ...missing],
    };
  }

  async ping(signal: AbortSignal) {
    const { engine } = await this.#ready(signal);
    const call = { method: 'GET', path: '/_ping', answer: 'json', signal } as const;
    try {
      // Twice, since a connection of before the engine's restart fails though the engine answers.
      await callEngine(engine, call).catch(() => callEngine(engine, call));
    } catch (error) {
      throw toDriverError(engine, 'a ping', error);
    }
  }

  async start(ship: Ship, options: Parameters<Driver['start']>[1]) {
    options.signal.throwIfAborted();
    const setup = await this.#ready(options.signal);
    return startShip({ options: this.#options, setup }, ship, options);
  }

  endpoint(handle: Readonly<Record<string, unknown>>) {
    const known = toShipHandle(handle);
    if (!known) throw new StatusError('INTERNAL', `not a handle of the ${this.name} driver`);
    return known.endpoint;
  }

  async inspect(ship: Ship): Promise<Inspection> {
    const { engine, watch } = await this.#ready();
    const known = containerIdOf(ship.handle);
    return inspectContainer(
      engine,
      known ?? this.#nameOf(ship),
      known === undefined ? undefined : watch.endedForMemory(known),
    );
  }

  async stop(ship: Ship, { signal }: { signal: AbortSignal }) {
    const { engine } = await this.#ready(signal);
    const known = containerIdOf(ship.handle);
    const all = known === undefined ? await containersOf(engine, this.#options.deploymentId, ship, signal) : [known];
    for (const id of all) await removeContainer(engine, id, signal);
  }

  async removeData(shipId: string) {
    const paths = dataPathsOf(this.#options.shipDataDir, shipId);
    await removeShipData(this.#options.shipDataDir, paths, this.#removeForeign(await this.#ready()));
  }

  async hasData(shipId: string) {
    return hasShipData(dataPathsOf(this.#options.shipDataDir, shipId));
  }

  async list(): Promise<FoundShip[]> {
    const { engine, network } = await this.#ready();
    return listShips(engine, network.shipNetwork.name, this.#options);
  }

  async *logs(ship: Ship, options: { follow: boolean; signal: AbortSignal }): AsyncIterable<string> {
    const { engine } = await this.#ready(options.signal);
    const found = await findContainer(engine, containerIdOf(ship.handle) ?? this.#nameOf(ship), options.signal);
    if (found) yield* streamLogs(engine, found.Id, options);
  }

  async died(ship: Ship, signal: AbortSignal) {
    const { engine, watch } = await this.#ready(signal);
    const known = containerIdOf(ship.handle) ?? (await findContainer(engine, this.#nameOf(ship), signal))?.Id;
    return known === undefined
      ? inspectContainer(engine, this.#nameOf(ship), undefined, signal)
      : watch.died(known, signal);
  }

  async close() {
    const setup = await this.#setup?.catch(() => undefined);
    setup?.watch.close();
    setup?.network.close();
  }

  #nameOf(ship: Ship): string {
    return containerName(this.#options.deploymentId, ship);
  }

  #removeForeign({ engine, image, folders }: EngineSetup) {
    const helper = { engine, image: image.id, deploymentId: this.#options.deploymentId };
    return (doomed: string) => removeForeign(helper, folders, doomed);
  }

  /** Once for all; done again only where it failed. */
  #ready(signal = AbortSignal.timeout(SETUP_TIMEOUT_MS)): Promise<EngineSetup> {
    this.#setup ??= this.#setUp(signal).catch((error: unknown) => {
      this.#setup = undefined;
      throw error;
    });
    return this.#setup;
  }

  async #setUp(signal: AbortSignal): Promise<EngineSetup> {
    const setup = await setUpEngine(this.#options, signal);
    this.#cpus = setup.engine.cpus;
    return setup;
  }
}

const SETUP_TIMEOUT_MS = 60_000;
