import { readFileSync } from 'node:fs';
import { median, type Row } from '../lib/stats.js';
import type { System } from '../lib/system.js';

const available = () => Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1024;

export function bayMemory(system: System): Row {
  const resident = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${system.bay.pid}/status`, 'utf8'))?.[1]) / 1024;
  return { name: 'resident memory of Bay', value: resident, unit: 'MiB', goal: '', detail: 'after the rows above' };
}

/** MemAvailable over a number of ships that have answered one cell, divided by their number. */
export async function shipMemory(system: System, ships: number): Promise<Row> {
  const headers = (session: string) => ({
    authorization: `Bearer ${system.bay.token}`,
    'x-session-id': session,
    'content-type': 'application/json',
  });
  const ids: [string, string][] = [];
  const before = await settled();
  for (let i = 0; i < ships; i++) {
    const session = `memory-${i}`;
    const answer = await fetch(`${system.bay.url}/ship`, {
      method: 'POST',
      headers: headers(session),
      body: '{"ttl": 600}',
    });
    ids.push([((await answer.json()) as { id: string }).id, session]);
    const body = JSON.stringify({ type: 'ipython/exec', payload: { code: '1+1' } });
    await (
      await fetch(`${system.bay.url}/ship/${ids[i]?.[0]}/exec`, { method: 'POST', headers: headers(session), body })
    ).arrayBuffer();
  }
  const used = (before - (await settled())) / ships;
  for (const [id, session] of ids)
    await fetch(`${system.bay.url}/ship/${id}`, { method: 'DELETE', headers: headers(session) });
  return {
    name: `memory of an idle ship after a cell (of ${ships})`,
    value: used,
    unit: 'MiB',
    goal: '',
    detail: 'MemAvailable before and after',
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
