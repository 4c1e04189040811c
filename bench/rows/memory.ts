import { readFileSync } from 'node:fs';
import { createToAnswer, type AnsweredShip } from '../lib/first-answer.js';
import { median, type Row } from '../lib/stats.js';
import type { System } from '../lib/system.js';

const available = () => Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1024;

export function bayMemory(system: System): Row {
  const resident = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${system.bay.pid}/status`, 'utf8'))?.[1]) / 1024;
  return { name: 'resident memory of Bay', value: resident, unit: 'MiB', goal: '', detail: 'after the rows above' };
}

/** MemAvailable over a number of ships that have answered one cell, divided by their number. */
export async function shipMemory(system: System, ships: number, goal = ''): Promise<Row> {
  const before = await settled();
  const made: AnsweredShip[] = [];
  for (let i = 0; i < ships; i++) made.push(await createToAnswer(system, `memory-${i}`));
  const used = (before - (await settled())) / ships;
  for (const ship of made) await ship.delete();
  return {
    name: `memory of an idle ship after a cell (of ${ships})`,
    value: used,
    unit: 'MiB',
    goal,
    detail: `MemAvailable before and after; ${Math.floor(1024 / used)} ships a GB`,
  };
}

/** The median of a second, since the figure moves with everything on the machine. */
async function settled(): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < 10; i++) {
    samples.push(available());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return median(samples);
}
