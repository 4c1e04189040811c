import { availableParallelism } from 'node:os';
import path from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Ship, UidPolicy } from '../../ships/ship.js';
import type { Driver, DriverReport, FoundShip } from '../driver.js';
import { agentLogFile } from './agent-config.js';
import { readAgentLogs } from './agent-logs.js';
import { sweepCgroups } from './cgroups.js';
import { inspectShip, shipDied } from './inspect-ship.js';
import { exploreMachine, type Machine } from './machine.js';
import type { LocalDriverOptions } from './options.js';
import { lastChange, openRuntimeDir, readRecords, runDirOf, type RuntimeDir } from './runtime-dir.js';
import { dataPathsOf, hasShipData, makeShipDataDir, removeShipData, sweepRemovals } from '../ship-data.js';
import { isRunning, readRecord, toRecord, type ShipRecord } from './ship-record.js';
import { startShip } from './start-ship.js';
import { stopShip } from './stop-ship.js';

export type { LocalDriverOptions } from './options.js';

/**
 * Ships as processes of this machine. A ship is an agent in a pid and network namespace of its own, started detached, so
 * that it outlives Bay; its sessions' sandboxes are made by the agent. All that is known of it lies in its runtime
 * directory too, and is believed only where pid, start time and boot match.
 */
export function createLocalDriver(options: LocalDriverOptions): Driver {
  return new LocalDriver(options);
}

const SWEEP_TIMEOUT_MS = 10_000;
/** What tells of an ended ship is kept this long for whoever still has its row. */
const KEEP_TRACES_MS = 3_600_000;

function isLongGone(record: ShipRecord): boolean {
  return !isRunning(record) && Date.now() - lastChange(record.runDir) > KEEP_TRACES_MS;
}

class LocalDriver implements Driver {
  readonly name = 'local';
  readonly startsAtOnce = availableParallelism();
  readonly uids: UidPolicy;
  readonly #options: LocalDriverOptions;
  #runtime: RuntimeDir | undefined;
  #machine: Promise<Machine> | undefined;

  constructor(options: LocalDriverOptions) {
    this.uids = { scope: 'deployment', base: options.uidBase };
    this.#options = options;
  }

  async check(signal: AbortSignal): Promise<DriverReport> {
    makeShipDataDir(this.#options.shipDataDir);
    const machine = await this.#explore(signal);
    await this.#sweep(machine);
    const { mode, network, cgroups } = machine;
    const held = {
      root: 'bubblewrap, an own user for each session',
      user: 'bubblewrap, user namespaces',
      plain: 'no sandbox',
    }[mode.outer];
    const limits = [...new Set(cgroups.parents.flatMap(({ controllers }) => controllers))];
    const missing = Object.entries(cgroups.missing).map(([name, reason]) => `no ${name} limit: ${reason}`);
    return {
      summary: `local: ${this.#options.isolation === 'none' ? 'no sandbox' : held}; network ${network}; limits ${limits.join(', ') || 'none'}`,
      network,
      warnings: [...machine.warnings, ...missing],
    };
  }

  async start(ship: Ship, options: Parameters<Driver['start']>[1]) {
    const machine = await this.#explore(options.signal);
    return startShip({ options: this.#options, runtime: this.#runtimeDir(), machine }, ship, options);
  }

  endpoint(handle: Readonly<Record<string, unknown>>) {
    const record = toRecord(handle);
    if (!record) throw new StatusError('INTERNAL', 'not a handle of the local driver');
    return { kind: 'unix', path: record.socketPath } as const;
  }

  async inspect(ship: Ship) {
    return inspectShip(this.#recordOf(ship));
  }

  async stop(ship: Ship, { signal }: { signal: AbortSignal }) {
    const record = this.#recordOf(ship);
    if (record) await stopShip(record, signal);
  }

  async removeData(shipId: string) {
    await removeShipData(this.#options.shipDataDir, dataPathsOf(this.#options.shipDataDir, shipId));
  }

  async hasData(shipId: string) {
    return hasShipData(dataPathsOf(this.#options.shipDataDir, shipId));
  }

  async list(): Promise<FoundShip[]> {
    const records = await readRecords(this.#runtimeDir(), this.#options.deploymentId);
    return records
      .filter(isRunning)
      .map((record) => ({ shipId: record.shipId, incarnation: record.incarnation, handle: record }));
  }

  async *logs(ship: Ship, options: { follow: boolean; signal: AbortSignal }): AsyncIterable<string> {
    const logFile = agentLogFile(dataPathsOf(this.#options.shipDataDir, ship.id));
    const record = this.#recordOf(ship);
    const ended = new AbortController();
    const over =
      record && options.follow ? shipDied(record, AbortSignal.any([options.signal, ended.signal])) : Promise.resolve();
    try {
      yield* readAgentLogs(logFile, { ...options, over });
    } finally {
      ended.abort();
    }
  }

  async died(ship: Ship, signal: AbortSignal) {
    const record = this.#recordOf(ship);
    return record ? shipDied(record, signal) : inspectShip(undefined);
  }

  /**
   * What is known of this very incarnation. The runtime directory knows more than a row that was written before the
   * start was complete.
   */
  #recordOf(ship: Ship): ShipRecord | undefined {
    const fits = (record: ShipRecord | undefined) =>
      record?.deploymentId === this.#options.deploymentId &&
      record.shipId === ship.id &&
      record.incarnation === ship.incarnation
        ? record
        : undefined;
    const row = fits(toRecord(ship.handle));
    if (row?.init) return row;
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const runDir = runDirOf(this.#runtimeDir(), this.#options.deploymentId, ship.id, ship.incarnation, attempt);
      const record = fits(readRecord(runDir));
      if (record) return record;
    }
    return row;
  }

  #runtimeDir(): RuntimeDir {
    return (this.#runtime ??= openRuntimeDir(this.#options.runtimeDir));
  }

  /** Once for all; looked at again only where it failed. */
  #explore(signal: AbortSignal): Promise<Machine> {
    this.#machine ??= exploreMachine(this.#options, signal).catch((error: unknown) => {
      this.#machine = undefined;
      throw error;
    });
    return this.#machine;
  }

  /** Finishes what crashes of earlier Bays left half done. */
  async #sweep(machine: Machine): Promise<void> {
    const records = await readRecords(this.#runtimeDir(), this.#options.deploymentId);
    for (const record of records.filter(isLongGone)) await stopShip(record, AbortSignal.timeout(SWEEP_TIMEOUT_MS));
    const names = new Set(records.map(({ runDir }) => path.basename(runDir)));
    await sweepCgroups(machine.cgroups, (name) => names.has(name));
    // Large removals go on beside the start.
    sweepRemovals(this.#options.shipDataDir).catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, 'removal of data failed'),
    );
  }
}
