import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { BareKernel } from '../lib/bare-kernel.js';
import { timedCreates } from '../lib/first-answer.js';
import { LineProgram } from '../lib/line-program.js';
import { inMs, interleave, ratioRow, type Row } from '../lib/stats.js';
import type { System } from '../lib/system.js';

/** `POST /ship` to the first Python answer, against bubblewrap and a bare kernel launcher to its first reply. */
export async function createToFirstAnswer(system: System, python: string, rounds: number): Promise<Row> {
  const result = await interleave(rounds, timedCreates(system), () => bareKernel(python, system.bay.folder));
  return ratioRow('create to first Python answer / bwrap + bare ipykernel', '≤ 1.25', result, inMs(0));
}

/** One kernel in a bubblewrap of its own, from the spawn to its first reply and idle; the client is ready before. */
async function bareKernel(python: string, parent: string): Promise<number> {
  const folder = mkdtempSync(path.join(parent, 'bare-'));
  const client = new LineProgram(python, 'first_reply.py', folder);
  try {
    await client.next('a client that is ready');
    const started = performance.now();
    const kernel = new BareKernel(python, folder);
    try {
      await Promise.race([client.next('the first answer of a bare kernel'), kernel.ended]);
      return performance.now() - started;
    } finally {
      await kernel.stop();
    }
  } finally {
    await client.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
