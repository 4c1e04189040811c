import { constants, existsSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Inspection } from '../driver.js';
import { KILLED, OUT_OF_MEMORY, reasonOf } from '../end-reason.js';
import { readOomKills } from './cgroups.js';
import { hasCode, isMissing, toError } from '../system-error.js';
import { isCurrent, isRunning, readStatus, type ShipRecord } from './ship-record.js';

/**
 * What the machine says of an incarnation; `undefined` stands for one of which nothing is left.
 *
 * @param oomKillsBefore the kernel's count shortly before the end. Only who watched has it; without it a kill of long ago
 *   could not be told from the end, and want of memory is not claimed
 */
export function inspectShip(record: ShipRecord | undefined, oomKillsBefore = Infinity): Inspection {
  if (!record) return { state: 'gone', reason: 'nothing of it is left on this machine' };
  if (isRunning(record)) return { state: 'running' };
  if (!isCurrent(record)) return { state: 'gone', reason: 'the machine was restarted' };
  const { exitCode } = readStatus(record.runDir);
  const killed = exitCode === undefined || exitCode === KILLED;
  const oom = killed && (readOomKills(record.cgroup) ?? 0) > oomKillsBefore;
  return {
    state: 'gone',
    reason: oom ? OUT_OF_MEMORY : reasonOf(exitCode),
    ...(oom ? { oom } : {}),
  };
}

const POLL_MS = 250;
/** How often the count of memory kills is looked at, so that one of long ago does not explain today's end. */
const OOM_SAMPLE_MS = 2000;

/**
 * Resolves when the incarnation dies. The kernel tells: the fifo that only the ship's init writes to comes to its end.
 * Where that is not so (no bubblewrap, a supervisor that was killed) it looks four times a second.
 */
export async function shipDied(record: ShipRecord, signal: AbortSignal): Promise<Inspection> {
  const oom = sampleOomKills(record);
  try {
    if (record.ownPidNamespace) await fifoEnds(path.join(record.runDir, 'alive'), signal);
    for (let waitMs = 1; isRunning(record); waitMs = Math.min(POLL_MS, waitMs * 2))
      await sleep(waitMs, undefined, { signal });
    await exitCodeWritten(record, signal);
    return inspectShip(record, oom.before());
  } finally {
    oom.stop();
  }
}

/** bubblewrap, or the supervisor, writes the exit code a moment after the end. */
async function exitCodeWritten(record: ShipRecord, signal: AbortSignal): Promise<void> {
  for (let waitMs = 1; waitMs < 100; waitMs *= 2) {
    if (!existsSync(record.runDir) || readStatus(record.runDir).exitCode !== undefined) return;
    await sleep(waitMs, undefined, { signal });
  }
}

function sampleOomKills(record: ShipRecord) {
  const samples = [readOomKills(record.cgroup) ?? 0];
  const timer = setInterval(() => {
    samples.push(readOomKills(record.cgroup) ?? samples.at(-1) ?? 0);
    if (samples.length > 2) samples.shift();
  }, OOM_SAMPLE_MS);
  timer.unref();
  return {
    /** The count as it was between one and two samples ago, which is before a kill that ended the ship. */
    before: () => samples[0] ?? 0,
    stop: () => clearInterval(timer),
  };
}

/** Waits, without a thread of the pool, until a fifo has no writer any more. */
function fifoEnds(file: string, signal: AbortSignal): Promise<void> {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error) || hasCode(error, 'EACCES')) return Promise.resolve();
    throw error;
  }
  const reader = new Socket({ fd, readable: true, writable: false });
  return new Promise<void>((resolve, reject) => {
    const abort = () => {
      reader.destroy();
      reject(toError(signal.reason));
    };
    reader.unref();
    reader.once('close', () => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
    reader.once('error', () => undefined); // 'close' follows, and the caller looks for itself
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    else reader.resume();
  });
}
