import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import { toError } from '../system-error.js';
import { launch } from './launch.js';
import type { IsolationMode } from './isolation-probe.js';
import { startUplink, type NetworkTools } from './network.js';
import { networkRules } from './network-rules.js';
import { killProcess, readProcess, waitUntilGone } from './processes.js';
import { shipCommand } from './sandbox-command.js';

const PROBE_TIMEOUT_MS = 5000;
/** What it confines itself with, the best first; not each works everywhere. */
const SLIRP_FLAGS = [['--enable-sandbox', '--enable-seccomp'], ['--enable-seccomp'], ['--enable-sandbox'], []];

/**
 * Makes a network namespace with filter and uplink, as a ship's start does, and takes it down again. It never hangs:
 * what does not answer in time does not work.
 */
export async function probeUplink(
  mode: Exclude<IsolationMode, { outer: 'plain' }>,
  tools: Omit<NetworkTools, 'slirpFlags'>,
  signal: AbortSignal,
): Promise<{ networkTools: NetworkTools } | { problem: string }> {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return {
      problem: '/dev/net/tun is missing or closed to this user: as root, modprobe tun; chmod 0666 /dev/net/tun',
    };
  }
  const problems: string[] = [];
  for (const slirpFlags of SLIRP_FLAGS) {
    const networkTools = { ...tools, slirpFlags };
    try {
      await tryUplink(mode, networkTools, timeoutSignal(PROBE_TIMEOUT_MS, signal));
      return { networkTools };
    } catch (error) {
      signal.throwIfAborted();
      problems.push(toError(error).message);
    }
  }
  return { problem: problems.at(-1) ?? 'slirp4netns does not start' };
}

async function tryUplink(mode: IsolationMode, tools: NetworkTools, signal: AbortSignal): Promise<void> {
  const runDir = mkdtempSync(path.join(tmpdir(), 'shipyard-probe-'));
  const rulesFile = path.join(runDir, 'filter.nft');
  const doneFile = path.join(runDir, 'filtered');
  const logFile = path.join(runDir, 'log');
  writeFileSync(rulesFile, networkRules([], []));
  writeFileSync(logFile, '');
  const filter = { nft: tools.nft, setpriv: tools.setpriv, rulesFile, doneFile };
  const command = shipCommand({ mode, ownNetwork: true, filter }, ['/bin/sleep', '30']);
  const launched = launch({
    runDir,
    command,
    plain: false,
    ephemeral: false,
    logFile,
    groups: [],
    supervisorGroups: [],
  });
  let initPid: number | undefined;
  try {
    initPid = await launched.initPid(signal);
    await launched.fileAppears(doneFile, signal);
    const uplinkLog = path.join(runDir, 'uplink.log');
    await startUplink({ tools, initPid, alive: launched.alive, logFile: uplinkLog, groups: [], signal });
  } catch (error) {
    const said = readFileSync(logFile, 'utf8').trim();
    throw said ? new Error(said, { cause: error }) : error;
  } finally {
    launched.close();
    const init = initPid === undefined ? undefined : readProcess(initPid);
    if (init) {
      killProcess(init);
      await waitUntilGone(init, AbortSignal.timeout(PROBE_TIMEOUT_MS));
    } else {
      launched.kill();
    }
    await launched.ended();
    rmSync(runDir, { recursive: true, force: true });
  }
}
