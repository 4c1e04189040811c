import { StatusError } from '../../../proto/rpc/status-error.js';
import { ownUid, runTool } from './host-tools.js';
import { probeCgroups, type CgroupSupport } from './cgroups.js';
import { probeIsolation, type IsolationMode } from './isolation-probe.js';
import { findNetworkTools, type NetworkTools } from './network.js';
import { probeUplink } from './network-probe.js';
import type { LocalDriverOptions } from './options.js';
import { readPythonPrefixes } from './agent-config.js';
import { digest } from './runtime-dir.js';

const HELP_TIMEOUT_MS = 5000;

/** What the driver found out about this machine, once. */
export interface Machine {
  readonly mode: IsolationMode;
  readonly network: 'none' | 'internet' | 'open';
  /** With network `internet`. */
  readonly networkTools?: NetworkTools;
  readonly cgroups: CgroupSupport;
  readonly pythonPrefixes: readonly string[];
  /** Whether a session's /tmp can have a size. */
  readonly boundsTmp: boolean;
  /** For people: what is not in force here, and why. */
  readonly warnings: readonly string[];
}

/** @throws StatusError DRIVER_REFUSED with the reason and the remedy */
export async function exploreMachine(options: LocalDriverOptions, signal: AbortSignal): Promise<Machine> {
  const mode = await isolationMode(options, signal);
  const [cgroups, pythonPrefixes, boundsTmp, network] = await Promise.all([
    probeCgroups(digest(options.deploymentId), signal),
    readPythonPrefixes(options.pythonExecutable, signal),
    canBoundTmp(mode, signal),
    chooseNetwork(mode, options, signal),
  ]);
  return {
    mode,
    cgroups,
    pythonPrefixes,
    boundsTmp,
    ...network,
    warnings: [...isolationWarnings(mode, options), ...tmpWarnings(mode, boundsTmp), ...network.warnings],
  };
}

async function isolationMode(options: LocalDriverOptions, signal: AbortSignal): Promise<IsolationMode> {
  try {
    return await probeIsolation({ uidBase: options.uidBase, signal });
  } catch (error) {
    if (options.isolation !== 'none' || process.platform !== 'linux' || signal.aborted) throw error;
    return { outer: 'plain' }; // asked for, and warned about
  }
}

function isolationWarnings(mode: IsolationMode, options: LocalDriverOptions): string[] {
  if (options.isolation !== 'none') return [];
  const user = ownUid() === 0 ? 'root' : `uid ${ownUid()}`;
  const held = mode.outer === 'plain' ? ', and a process that hides from its parent may outlive its ship' : '';
  return [
    `LOCAL_DRIVER_ISOLATION=none: code of sessions runs as ${user} and sees and changes this user's files${held}`,
  ];
}

/** bubblewrap can since 0.7. */
async function canBoundTmp(mode: IsolationMode, signal: AbortSignal): Promise<boolean> {
  if (mode.outer === 'plain') return false;
  const { stdout } = await runTool([mode.bwrap, '--help'], { timeoutMs: HELP_TIMEOUT_MS, signal });
  return stdout.includes('--size ');
}

const tmpWarnings = (mode: IsolationMode, boundsTmp: boolean): string[] =>
  mode.outer === 'plain' || boundsTmp
    ? []
    : ["a session can fill its ship's memory by its /tmp: bubblewrap is older than 0.7"];

interface NetworkChoice {
  readonly network: Machine['network'];
  readonly networkTools?: NetworkTools;
  readonly warnings: string[];
}

async function chooseNetwork(
  mode: IsolationMode,
  options: LocalDriverOptions,
  signal: AbortSignal,
): Promise<NetworkChoice> {
  const asked = options.shipNetwork;
  if (mode.outer === 'plain') {
    if (asked === 'none' || asked === 'internet')
      throw new StatusError(
        'DRIVER_REFUSED',
        `SHIP_NETWORK=${asked} cannot be kept without bubblewrap; set SHIP_NETWORK=open to accept that`,
      );
    return { network: 'open', warnings: ["ships use the machine's own network, without a filter"] };
  }
  if (asked === 'open')
    return { network: 'open', warnings: ["SHIP_NETWORK=open: ships use the machine's own network, without a filter"] };
  if (asked === 'none') return { network: 'none', warnings: [] };

  const found = await findUplink(mode, signal);
  if ('networkTools' in found) {
    const ignored = (options.shipNetworkAllow ?? []).filter(({ family }) => family === 6).map(({ cidr }) => cidr);
    const warnings =
      ignored.length === 0 ? [] : [`ships have no IPv6 here: SHIP_NETWORK_ALLOW of ${ignored.join(', ')} does nothing`];
    return { network: 'internet', networkTools: found.networkTools, warnings };
  }
  if (asked === 'internet')
    throw new StatusError('DRIVER_REFUSED', `SHIP_NETWORK=internet cannot be had: ${found.problem}`);
  return { network: 'none', warnings: [`ships have no network: ${found.problem}`] };
}

async function findUplink(
  mode: Exclude<IsolationMode, { outer: 'plain' }>,
  signal: AbortSignal,
): Promise<{ networkTools: NetworkTools } | { problem: string }> {
  const found = findNetworkTools();
  if ('missing' in found) return { problem: `programs are missing: ${found.missing}` };
  return probeUplink(mode, found.tools, signal);
}
