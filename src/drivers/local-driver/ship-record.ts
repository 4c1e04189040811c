import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { readFileIfThere } from './host-tools.js';
import { commandLineNames, isAlive, readBootId, readProcess, type ProcessRef } from './processes.js';

const processRef = z.object({ pid: z.number().int().positive(), startTicks: z.number() });

/**
 * What is known of an incarnation's processes. It is the handle in the store's row, and lies in the runtime directory as
 * well, so that a ship is found again without a store.
 */
const recordSchema = z.object({
  deploymentId: z.string(),
  shipId: z.string(),
  incarnation: z.number().int(),
  bootId: z.string(),
  runDir: z.string(),
  socketPath: z.string(),
  ephemeral: z.boolean(),
  /** Whether the init below is that of an own pid namespace, so that its end is everybody's. */
  ownPidNamespace: z.boolean(),
  /** The shell that waits for the ship and cleans up after it; leader of a process group. */
  supervisor: processRef.optional(),
  /** Pid 1 of the ship's namespace, as Bay sees it; without a namespace, the agent. */
  init: processRef.optional(),
  helpers: z.array(processRef.extend({ name: z.string() })),
  cgroup: z
    .object({
      version: z.union([z.literal(1), z.literal(2)]),
      dirs: z.array(z.string()).readonly(),
      memory: z.string().optional(),
    })
    .optional(),
});

export type ShipRecord = z.infer<typeof recordSchema>;

const recordFile = (runDir: string) => path.join(runDir, 'ship.json');

export function writeRecord(record: ShipRecord): void {
  const file = recordFile(record.runDir);
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** The record in a runtime directory; undefined where there is none that can be read. */
export function readRecord(runDir: string): ShipRecord | undefined {
  const text = readFileIfThere(recordFile(runDir));
  return text === undefined ? undefined : completed(parseJson(text));
}

/** The handle of a row, as a record. */
export function toRecord(handle: Readonly<Record<string, unknown>> | undefined): ShipRecord | undefined {
  return handle === undefined ? undefined : completed(handle);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // half a record is none: its ship was never answered for
  }
}

/**
 * A Bay that died in the middle of a start recorded no init. bubblewrap did: its pid stands in status.json, and counts
 * while that process's command line names this very runtime directory.
 */
function completed(value: unknown): ShipRecord | undefined {
  const parsed = recordSchema.safeParse(value);
  if (!parsed.success || parsed.data.init) return parsed.data;
  const pid = readStatus(parsed.data.runDir).initPid;
  const init = pid !== undefined && commandLineNames(pid, parsed.data.runDir) ? readProcess(pid) : undefined;
  return init ? { ...parsed.data, init } : parsed.data;
}

/** Whether this incarnation runs, on this machine since its last start. */
export function isRunning(record: ShipRecord): boolean {
  return record.init !== undefined && isCurrent(record) && isAlive(record.init);
}

/** Its process numbers mean something here and now. */
export const isCurrent = (record: ShipRecord) => record.bootId === readBootId();

export function livingHelpers(record: ShipRecord): ProcessRef[] {
  return isCurrent(record) ? record.helpers.filter(isAlive) : [];
}

/** What bubblewrap wrote of the ship's beginning and end. */
export function readStatus(runDir: string): { initPid?: number; exitCode?: number } {
  const text = readFileIfThere(path.join(runDir, 'status.json')) ?? '';
  const number = (key: string) => {
    const match = new RegExp(`"${key}": ?(\\d+)`).exec(text);
    return match ? Number(match[1]) : undefined;
  };
  return { initPid: number('child-pid'), exitCode: number('exit-code') };
}
