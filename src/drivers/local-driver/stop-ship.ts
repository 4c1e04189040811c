import { setTimeout as sleep } from 'node:timers/promises';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import { isCgroupEmpty, killShipCgroup, removeShipCgroup } from './cgroups.js';
import { hasCode } from '../system-error.js';
import { readFileIfThere } from './host-tools.js';
import { isAlive, killProcess, readProcess, waitUntilGone, type ProcessRef } from './processes.js';
import { removeRunDir } from './runtime-dir.js';
import { isCurrent, livingHelpers, type ShipRecord } from './ship-record.js';

/** How long the supervisor may take to see the end by itself, which spares the machine's init a zombie. */
const SUPERVISOR_GRACE_MS = 1000;

/**
 * Ends an incarnation by force, waits until nothing of it lives, and removes its runtime directory and control groups.
 * Its network namespace goes with its last process. Safe to repeat at any point, and for what is long gone.
 */
export async function stopShip(record: ShipRecord, signal: AbortSignal): Promise<void> {
  if (isCurrent(record)) await endProcesses(record, signal);
  await removeShipCgroup(record.cgroup);
  await removeRunDir(record.runDir);
}

async function endProcesses(record: ShipRecord, signal: AbortSignal): Promise<void> {
  const { init, supervisor } = record;
  if (init) {
    if (!record.ownPidNamespace && isAlive(init)) killTree(init.pid);
    killProcess(init);
  } else if (supervisor && isAlive(supervisor)) {
    killGroup(supervisor); // it did not get as far as an init
  }
  for (const helper of livingHelpers(record)) killProcess(helper);
  if (init) await waitUntilGone(init, signal);
  while (!isCgroupEmpty(record.cgroup)) {
    killShipCgroup(record.cgroup);
    await sleep(5, undefined, { signal });
  }
  for (const helper of record.helpers) await waitUntilGone(helper, signal);
  if (supervisor) await endSupervisor(supervisor, signal);
}

async function endSupervisor(supervisor: ProcessRef, signal: AbortSignal): Promise<void> {
  try {
    await waitUntilGone(supervisor, timeoutSignal(SUPERVISOR_GRACE_MS, signal));
  } catch {
    signal.throwIfAborted();
    killGroup(supervisor);
    await waitUntilGone(supervisor, signal);
  }
}

/** The supervisor leads a process group; while it lives, that number is its own. */
function killGroup(leader: ProcessRef): void {
  if (!isAlive(leader)) return;
  try {
    process.kill(-leader.pid, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

/** Without a pid namespace: the process and all that descend from it, found before any of them can lose its parent. */
function killTree(root: number): void {
  const children = (readFileIfThere(`/proc/${root}/task/${root}/children`) ?? '').trim().split(/\s+/).map(Number);
  const stopped = readProcess(root);
  if (stopped) killProcess(stopped, 'SIGSTOP'); // so that it starts no more while its children are looked at
  for (const child of children) if (child > 0) killTree(child);
  if (stopped) killProcess(stopped);
}
