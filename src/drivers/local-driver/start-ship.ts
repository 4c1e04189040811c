import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isStatusError, StatusError } from '../../../proto/rpc/status-error.js';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import type { Isolation, Ship } from '../../ships/ship.js';
import type { StartedShip, StartOptions } from '../driver.js';
import { agentConfigFor, agentLogFile, writeAgentConfig } from './agent-config.js';
import { createShipCgroup, makeHelperGroups, type Controller, type ShipCgroup } from './cgroups.js';
import { hasCode, toError } from '../system-error.js';
import { launch, type Launched } from './launch.js';
import type { Machine } from './machine.js';
import { machineAddresses, networkRules } from './network-rules.js';
import { startUplink, writeResolvConf } from './network.js';
import { DEFAULT_PIDS_MAX, DEFAULT_START_TIMEOUT_MS, type LocalDriverOptions } from './options.js';
import { readBootId, readProcess, type ProcessRef } from './processes.js';
import { makeRunDir, runDirOf, socketPathOf, type RuntimeDir } from './runtime-dir.js';
import { shipCommand } from './sandbox-command.js';
import { dataPathsOf, makeDataDirs, type DataPaths } from '../ship-data.js';
import { readRecord, writeRecord, type ShipRecord } from './ship-record.js';
import { stopShip } from './stop-ship.js';

export interface StartShipDeps {
  readonly options: LocalDriverOptions;
  readonly runtime: RuntimeDir;
  readonly machine: Machine;
}

/**
 * Starts an incarnation: sandbox and agent, and beside the agent's own start its filter and uplink. Answers when the
 * agent takes connections and the network is as it should be; no session exists before. Where it fails nothing stays.
 *
 * @throws StatusError SHIP_START_FAILED with what the agent or a helper said last
 */
export async function startShip(
  deps: StartShipDeps,
  ship: Ship,
  { token, signal }: StartOptions,
): Promise<StartedShip> {
  const { options, machine } = deps;
  if (options.isolation === 'none' && ship.maxSessionNum > 1) {
    const message = `max_session_num is ${ship.maxSessionNum}, and with LOCAL_DRIVER_ISOLATION=none sessions are not kept apart: 1 is allowed`;
    throw new StatusError('INVALID_ARGUMENT', message);
  }
  signal.throwIfAborted();
  const data = dataPathsOf(options.shipDataDir, ship.id);
  makeDataDirs(data);
  const runDir = await claimRunDir(deps, ship);
  const record: ShipRecord = {
    deploymentId: options.deploymentId,
    shipId: ship.id,
    incarnation: ship.incarnation,
    bootId: readBootId(),
    runDir,
    socketPath: socketPathOf(runDir),
    ephemeral: options.ephemeral,
    ownPidNamespace: machine.mode.outer !== 'plain',
    helpers: [],
  };
  // Before the first process, so that another Bay finds it whatever happens here.
  writeRecord(record);
  try {
    return await begin(deps, ship, token, { record, data, signal });
  } catch (error) {
    await stopShip(readRecord(runDir) ?? record, AbortSignal.timeout(DEFAULT_START_TIMEOUT_MS));
    throw startError(error, ship, data, signal);
  }
}

/** An incarnation's own directory, empty; what an interrupted start of the same incarnation left is ended first. */
async function claimRunDir({ options, runtime }: StartShipDeps, ship: Ship): Promise<string> {
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const runDir = runDirOf(runtime, options.deploymentId, ship.id, ship.incarnation, attempt);
    const left = existsSync(runDir) ? readRecord(runDir) : undefined;
    if (left?.deploymentId === options.deploymentId && left.shipId === ship.id)
      await stopShip(left, AbortSignal.timeout(DEFAULT_START_TIMEOUT_MS));
    if (makeRunDir(runDir, options.deploymentId, ship.id, ship.incarnation)) return runDir;
  }
  throw new StatusError('SHIP_START_FAILED', `no free runtime directory in ${runtime.base}`);
}

interface Beginning {
  readonly record: ShipRecord;
  readonly data: DataPaths;
  readonly signal: AbortSignal;
}

async function begin(
  deps: StartShipDeps,
  ship: Ship,
  token: string,
  { record, data, signal }: Beginning,
): Promise<StartedShip> {
  const { options, machine } = deps;
  const { runDir, socketPath } = record;
  const groups = createShipCgroup(machine.cgroups, path.basename(runDir), {
    ...ship.spec,
    pids: options.pidsMax ?? DEFAULT_PIDS_MAX,
  });
  const withGroups = { ...record, ...(groups.cgroup ? { cgroup: groups.cgroup } : {}) };
  writeRecord(withGroups);

  const resolvConf = machine.network === 'open' ? undefined : writeResolvConf(runDir, machine.network);
  const configFile = writeAgentConfig(
    runDir,
    agentConfigFor(
      ship,
      token,
      {
        ...{ runDir, socketPath, data, mode: machine.mode, pythonPrefixes: machine.pythonPrefixes },
        boundsTmp: machine.boundsTmp,
        ...(resolvConf ? { resolvConf } : {}),
        ...(groups.cgroup ? { cgroup: groups.cgroup } : {}),
      },
      options,
    ),
  );
  const supervisorGroups = makeHelperGroups(machine.cgroups);
  const launched = launch({
    runDir,
    command: shipCommand({ mode: machine.mode, ownNetwork: machine.network !== 'open', ...filterFor(deps, runDir) }, [
      ...options.agentCommand,
      configFile,
    ]),
    plain: machine.mode.outer === 'plain',
    ephemeral: options.ephemeral,
    logFile: agentLogFile(data),
    groups: groups.cgroup?.dirs ?? [],
    supervisorGroups,
    environment: options.agentEnvironment ?? {},
  });
  const timeoutMs = options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
  const limit = timeoutSignal(timeoutMs, signal);
  try {
    const initPid = await launched.initPid(limit);
    const init = readProcess(initPid);
    if (!init) throw new StatusError('SHIP_START_FAILED', 'the agent ended at once');
    const started = { ...withGroups, init, ...(launched.supervisor ? { supervisor: launched.supervisor } : {}) };
    writeRecord(started);

    const settled = await allOrFirstFailure(
      uplinkFor(deps, launched, { initPid, runDir, data, groups: supervisorGroups, signal: limit }),
      launched.fileAppears(socketPath, limit).then(() => canBeDialled(socketPath, limit)),
    );
    const handle = { ...started, helpers: settled };
    writeRecord(handle);
    return { handle, isolation: isolationOf(deps, ship, groups), containerId: `${initPid}` };
  } catch (error) {
    launched.kill();
    if (limit.aborted && !signal.aborted)
      throw new StatusError('SHIP_START_FAILED', `it was not ready within ${timeoutMs} ms`, { cause: error });
    throw error;
  } finally {
    launched.close();
  }
}

/** Both at once; the answer of the first. A helper that is still starting when the agent fails is waited for. */
async function allOrFirstFailure<T>(first: Promise<T>, second: Promise<void>): Promise<T> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (b.status === 'rejected') throw b.reason;
  if (a.status === 'rejected') throw a.reason;
  return a.value;
}

const filterDoneFile = (runDir: string) => path.join(runDir, 'filtered');

function filterFor({ machine, options }: StartShipDeps, runDir: string) {
  if (machine.network !== 'internet' || !machine.networkTools) return {};
  const rulesFile = path.join(runDir, 'filter.nft');
  writeFileSync(rulesFile, networkRules(options.shipNetworkAllow ?? [], machineAddresses()), { mode: 0o600 });
  return {
    filter: {
      nft: machine.networkTools.nft,
      setpriv: machine.networkTools.setpriv,
      rulesFile,
      doneFile: filterDoneFile(runDir),
    },
  };
}

async function uplinkFor(
  { machine }: StartShipDeps,
  launched: Launched,
  ship: { initPid: number; runDir: string; data: DataPaths; groups: readonly string[]; signal: AbortSignal },
): Promise<(ProcessRef & { name: string })[]> {
  if (machine.network !== 'internet' || !machine.networkTools) return [];
  const { initPid, groups, signal } = ship;
  const { alive } = launched;
  await launched.fileAppears(filterDoneFile(ship.runDir), signal);
  const logFile = path.join(ship.data.log, 'network.log');
  const { ref } = await startUplink({ tools: machine.networkTools, initPid, alive, logFile, groups, signal });
  return [{ ...ref, name: 'slirp4netns' }];
}

/** The socket's file is there a moment before it takes connections. */
async function canBeDialled(socketPath: string, signal: AbortSignal): Promise<void> {
  while (!(await dial(socketPath))) await sleep(2, undefined, { signal });
}

function dial(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => (hasCode(error, 'ECONNREFUSED', 'ENOENT') ? resolve(false) : reject(error)));
  });
}

function isolationOf(
  { machine, options }: StartShipDeps,
  ship: Ship,
  { limits }: { cgroup?: ShipCgroup; limits: readonly Controller[] },
): Isolation {
  const { mode } = machine;
  const wanted: Controller[] = [
    ...(ship.spec.memoryBytes > 0 ? (['memory'] as const) : []),
    ...(ship.spec.cpus > 0 ? (['cpu'] as const) : []),
    'pids',
  ];
  const missing = wanted
    .filter((name) => !limits.includes(name))
    .map((name) => `${name} limit: ${machine.cgroups.missing[name] ?? 'not available here'}`);
  const open = options.isolation === 'none' || mode.outer === 'plain';
  return {
    kind: open ? 'none' : mode.outer === 'root' ? 'uid' : 'user-namespace',
    network: machine.network,
    limits,
    missing: [
      ...missing,
      ...(mode.outer === 'plain' ? ['pid namespace: bubblewrap does not work here'] : []),
      'disk quota: workspaces lie in a folder of the machine, which this driver does not limit',
    ],
  };
}

/** The failure, with what the agent said last; the caller's own cancellation as it is. */
function startError(error: unknown, ship: Ship, data: DataPaths, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (isStatusError(error) && error.reason !== 'SHIP_START_FAILED') return error;
  const why = toError(error).message;
  const said = lastLines(agentLogFile(data));
  return new StatusError(
    'SHIP_START_FAILED',
    `ship ${ship.id} did not start: ${why}${said ? `; it wrote: ${said}` : ''}`,
    {
      cause: error,
    },
  );
}

const LAST_BYTES = 1000;

function lastLines(file: string): string {
  if (!existsSync(file)) return '';
  return readFileSync(file)
    .subarray(-Math.min(LAST_BYTES, statSync(file).size))
    .toString('utf8')
    .trim();
}
