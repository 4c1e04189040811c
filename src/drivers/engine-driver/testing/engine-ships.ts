import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { silentLog } from '../../../telemetry/log.js';
import type { Ship } from '../../../ships/ship.js';
import { CONFORMANCE_TOKEN } from '../../conformance.js';
import type { Driver, StartedShip } from '../../driver.js';
import { testShip } from '../../testing/test-ship.js';
import { bounded, findEngine, type Engine } from '../engine.js';
import { createEngineDriver, type EngineDriverOptions } from '../index.js';
import { LABEL, withLabels } from '../labels.js';
import { removeContainer } from '../remove-container.js';
import { removeFilters } from './filters-of.js';
import { TEST_IMAGE, type TestEngine } from './test-engines.js';
import { kindOf } from '../options.js';

/** An engine driver over a real engine and the real image, with a folder and a network of its own. Dispose removes all of it. */
export class EngineShips {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'se-'));
  readonly options: EngineDriverOptions;
  readonly driver: Driver;
  readonly #drivers: Driver[] = [];
  readonly #data = new Set<string>();

  constructor({ mode, host }: Pick<TestEngine, 'mode' | 'host'>, options: Partial<EngineDriverOptions> = {}) {
    this.options = {
      mode,
      addresses: { dockerHost: host, containerHost: host },
      deploymentId: this.folder,
      image: TEST_IMAGE,
      network: path.basename(this.folder).toLowerCase(),
      shipDataDir: path.join(this.folder, 'ships'),
      shipNetworkAllow: [],
      ephemeral: false,
      shipEnvironment: { LANG: 'C.UTF-8' },
      logger: silentLog,
      ...options,
    };
    this.driver = this.anotherDriver();
  }

  /** The same deployment, as another Bay sees it. */
  anotherDriver(options: Partial<EngineDriverOptions> = {}): Driver {
    const driver = createEngineDriver({ ...this.options, ...options });
    this.#drivers.push(driver);
    return driver;
  }

  async start(
    ship: Ship,
    driver = this.driver,
  ): Promise<Ship & { handle: NonNullable<Ship['handle']>; started: StartedShip }> {
    const started = await driver.start(ship, { token: CONFORMANCE_TOKEN, signal: AbortSignal.timeout(60_000) });
    return { ...ship, state: 'RUNNING', handle: started.handle, isolation: started.isolation, started };
  }

  ship(id: string, values: Partial<Ship> = {}): Ship {
    this.#data.add(id);
    return testShip(id, { driver: this.options.mode, ...values });
  }

  /** What the engine itself says, past the driver. */
  engine(): Promise<Engine> {
    return findEngine(kindOf(this.options.mode), this.options.addresses, AbortSignal.timeout(10_000));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const engine = await this.engine();
    const { docker } = engine;
    const filters = withLabels({ [LABEL.deployment]: this.options.deploymentId });
    const containers = await docker.listContainers({ all: true, filters, abortSignal: bounded() });
    await Promise.all(containers.map(({ Id }) => removeContainer(engine, Id, bounded()))); // helpers go by themselves
    for (const id of this.#data) await this.driver.removeData(id);
    for (const driver of this.#drivers) await driver.close?.();
    const network = docker.getNetwork(this.options.network);
    const { Containers = {} } = (await network.inspect()) as { Containers?: Record<string, unknown> };
    for (const id of Object.keys(Containers)) await network.disconnect({ Container: id, Force: true }); // Bay's own
    await network.remove();
    if (!engine.rootless) await removeFilters(this, this.options.network);
    rmSync(this.folder, { recursive: true });
  }
}
