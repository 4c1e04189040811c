import { closeSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { agentConfigSchema } from '../../../ship/src/config.js';
import type { Ship } from '../../ships/ship.js';
import { tmpBytesOf } from '../tmp-bytes.js';
import { runTool } from './host-tools.js';
import type { IsolationMode } from './isolation-probe.js';
import type { LocalDriverOptions } from './options.js';
import type { ShipCgroup } from './cgroups.js';
import type { DataPaths } from '../ship-data.js';

export type AgentConfigInput = z.input<typeof agentConfigSchema>;

/** 2 files of 10 MiB hold what an agent writes. */
export const AGENT_LOG_MAX_BYTES = 10 * 1024 * 1024;
export const agentLogFile = (paths: DataPaths) => path.join(paths.log, 'agent.log');

export interface AgentPlace {
  readonly runDir: string;
  readonly socketPath: string;
  readonly data: DataPaths;
  readonly mode: IsolationMode;
  readonly pythonPrefixes: readonly string[];
  readonly boundsTmp: boolean;
  readonly resolvConf?: string;
  readonly cgroup?: ShipCgroup;
}

/** The agent's whole configuration. */
export function agentConfigFor(
  ship: Ship,
  token: string,
  place: AgentPlace,
  options: LocalDriverOptions,
): AgentConfigInput {
  const tmpBytes = tmpBytesOf(ship.spec);
  return {
    shipId: ship.id,
    incarnation: ship.incarnation,
    token,
    listen: { kind: 'unix', path: place.socketPath },
    stateDir: place.data.state,
    homesDir: place.data.home,
    runDir: place.runDir,
    supportDir: options.supportDir,
    python: { executable: options.pythonExecutable, prefixes: [...place.pythonPrefixes] },
    sandbox: sandboxFor(place.mode, options),
    ...(place.boundsTmp && tmpBytes !== undefined ? { tmpBytes } : {}),
    readOnlyPaths: [...(options.readOnlyPaths ?? [])],
    ...(place.resolvConf ? { resolvConf: place.resolvConf } : {}),
    environment: { ...options.shipEnvironment },
    maxSessionNum: ship.maxSessionNum,
    ...(place.cgroup?.memory ? { cgroup: { version: place.cgroup.version, memory: place.cgroup.memory } } : {}),
    ...(options.executionLogMaxBytes === undefined ? {} : { executionLogMaxBytes: options.executionLogMaxBytes }),
    ...(options.shipLogMaxBytes === undefined ? {} : { shipLogMaxBytes: options.shipLogMaxBytes }),
    logFile: { path: agentLogFile(place.data), maxBytes: AGENT_LOG_MAX_BYTES },
    ephemeral: options.ephemeral,
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  };
}

function sandboxFor(mode: IsolationMode, options: LocalDriverOptions): AgentConfigInput['sandbox'] {
  if (options.isolation === 'none' || mode.outer === 'plain') return { kind: 'none' };
  return { kind: mode.outer === 'root' ? 'bwrap-uid' : 'bwrap-userns', bwrap: mode.bwrap };
}

/** Writes it so that nobody else can ever have it open: it holds the token. Returns the file. */
export function writeAgentConfig(runDir: string, config: AgentConfigInput): string {
  const file = path.join(runDir, 'agent.json');
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    writeFileSync(descriptor, JSON.stringify(config));
  } finally {
    closeSync(descriptor);
  }
  return file;
}

/** Looks for ipykernel without loading it, which would take half a second. */
const PREFIXES = `import importlib.util, json, os, sys
assert importlib.util.find_spec("ipykernel"), "ipykernel is not installed"
found = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
print(json.dumps(sorted({*found, *map(os.path.realpath, found)})))`;

/**
 * The directories that the ships' Python needs.
 *
 * @throws StatusError DRIVER_REFUSED where it does not run or has no ipykernel
 */
export async function readPythonPrefixes(executable: string, signal: AbortSignal): Promise<string[]> {
  const { ok, stdout, problem } = await runTool([executable, '-I', '-c', PREFIXES], { timeoutMs: 30_000, signal });
  signal.throwIfAborted();
  if (!ok)
    throw new StatusError(
      'DRIVER_REFUSED',
      `${executable} is no Python with ipykernel (${problem}): run npm run setup`,
    );
  return JSON.parse(stdout) as string[];
}
