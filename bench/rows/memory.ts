import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createToAnswer, type AnsweredShip } from '../lib/first-answer.js';
import type { Row } from '../lib/stats.js';
import type { System } from '../lib/system.js';

export function bayMemory(system: System): Row {
  const resident = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${system.bay.pid}/status`, 'utf8'))?.[1]) / 1024;
  return { name: 'resident memory of Bay', value: resident, unit: 'MiB', goal: '', detail: 'after the rows above' };
}

/** What the processes of ships hold that have answered one cell, each page divided by those who share it. */
export async function shipMemory(system: System, ships: number, goal = ''): Promise<Row> {
  const others = new Set(namespaces().values());
  const made: AnsweredShip[] = [];
  for (let i = 0; i < ships; i++) made.push(await createToAnswer(system, `memory-${i}`));
  const theirs = [...namespaces()].filter(([, namespace]) => !others.has(namespace)).map(([pid]) => pid);
  const used = theirs.reduce((sum, pid) => sum + proportionalSize(pid), 0) / ships;
  for (const ship of made) await ship.delete();
  return {
    name: `memory of an idle ship after a cell (of ${ships})`,
    value: used,
    unit: 'MiB',
    goal,
    detail: `PSS of its processes; ${Math.floor(1024 / used)} ships a GB`,
  };
}

/** The pid namespace of each process: no ship shares its own with anybody. */
function namespaces(): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      found.set(Number(name), readlinkSync(`/proc/${name}/ns/pid`));
    } catch {
      continue; // it ended meanwhile
    }
  }
  return found;
}

/** In MiB. */
function proportionalSize(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
