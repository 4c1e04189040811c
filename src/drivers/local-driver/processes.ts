import { readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../system-error.js';
import { readFileIfThere } from './host-tools.js';

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessRef {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks between the machine's start and the process's. */
  readonly startTicks: number;
}

/**
 * Names the life of the machine and the pid namespace in which process numbers mean something: after a restart, or
 * seen from another container, the same number is another process.
 */
export function readBootId(): string {
  const boot = readFileIfThere('/proc/sys/kernel/random/boot_id')?.trim() ?? 'unknown';
  return `${boot}/${readlinkSync('/proc/self/ns/pid')}`;
}

/** The process of that number, if it lives (a zombie does not). */
export function readProcess(pid: number): ProcessRef | undefined {
  const stat = readFileIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in parentheses may hold anything; what follows its last parenthesis starts with field 3, the state.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = Number(fields[19]);
  return fields[0] === 'Z' || fields[0] === 'X' || !Number.isFinite(startTicks) ? undefined : { pid, startTicks };
}

export function isAlive(process: ProcessRef): boolean {
  return readProcess(process.pid)?.startTicks === process.startTicks;
}

/** Kills exactly this process; a later one with its number is left alone. */
export function killProcess(ref: ProcessRef, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (!isAlive(ref)) return;
  try {
    process.kill(ref.pid, signal);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

/**
 * Waits until the process is gone. A namespace's init is gone only after the kernel ended everything inside, so that
 * nothing of it is left then.
 */
export async function waitUntilGone(ref: ProcessRef, signal: AbortSignal): Promise<void> {
  for (let waitMs = 1; isAlive(ref); waitMs = Math.min(waitMs * 2, 50)) await sleep(waitMs, undefined, { signal });
}

/** Whether a process's command line names this text (its own directory, say). */
export function commandLineNames(pid: number, text: string): boolean {
  return readFileIfThere(`/proc/${pid}/cmdline`)?.includes(text) ?? false;
}
