import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import type { Ship } from '../../../ships/ship.js';
import type { Driver, StartedShip } from '../../driver.js';
import { testShip } from '../../testing/test-ship.js';
import { createLocalDriver, type LocalDriverOptions } from '../index.js';

export const TOKEN = 'test-token-of-at-least-thirty-two-characters';

/** A local driver over stub agents, with a folder of its own. Dispose ends and removes all of it. */
export class LocalShips {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'sl-'));
  readonly options: LocalDriverOptions;
  readonly driver: Driver;
  readonly #rows: Ship[] = [];

  constructor(options: Partial<LocalDriverOptions> = {}) {
    this.options = {
      shipDataDir: path.join(this.folder, 'ships'),
      runtimeDir: path.join(this.folder, 'run'),
      deploymentId: this.folder,
      agentCommand: [process.execPath, path.join(import.meta.dirname, 'stub-agent.mjs')],
      supportDir: path.join(this.folder, 'support'),
      pythonExecutable: fakePython(this.folder),
      shipNetwork: 'none',
      uidBase: 20_000,
      isolation: 'auto',
      ephemeral: false,
      logger: pino({ level: 'silent' }),
      ...options,
    };
    this.driver = createLocalDriver(this.options);
  }

  /** The same deployment, as another Bay sees it. */
  anotherDriver(options: Partial<LocalDriverOptions> = {}): Driver {
    return createLocalDriver({ ...this.options, ...options });
  }

  async start(
    ship: Ship,
    driver = this.driver,
  ): Promise<Ship & { handle: NonNullable<Ship['handle']>; started: StartedShip }> {
    this.#rows.push(ship);
    const started = await driver.start(ship, { token: TOKEN, signal: AbortSignal.timeout(20_000) });
    return { ...ship, state: 'RUNNING', handle: started.handle, isolation: started.isolation, started };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const living = (await this.driver.list()).map((found) => ({ ...testShip(found.shipId), ...found }));
    for (const ship of [...living, ...this.#rows])
      await this.driver.stop(ship, { signal: AbortSignal.timeout(10_000) });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Says what a Python with ipykernel says when it is asked for its prefixes. */
function fakePython(folder: string): string {
  const file = path.join(folder, 'bin/python');
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '#!/bin/sh\necho \'["/usr"]\'\n');
  chmodSync(file, 0o755);
  return file;
}
