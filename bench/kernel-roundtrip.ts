/**
 * The kernel by itself, without Bay and Ship's server: our launcher against a stock kernel over the same client, and
 * against jupyter_client on a stock kernel. `npx tsx bench/kernel-roundtrip.ts [rounds]`
 */
import path from 'node:path';
import { TestSessions } from '../ship/src/python/testing/test-session.js';
import { startReferenceKernel } from './lib/reference-kernel.js';
import { interleave, median, quantile, show } from './lib/stats.js';

const python = process.env['SHIPYARD_PYTHON'] ?? path.resolve(import.meta.dirname, '../.venv/bin/python');
const rounds = Number(process.argv[2] ?? 5);
const CELLS = 100;
const LINES = 'for i in range(100000): print("x" * 99)';
const PIECES = 'for i in range(2500): print("x" * 4095)';

const ours = new TestSessions({ python });
const stock = new TestSessions({ python, launcher: 'stock' });
const reference = await startReferenceKernel(python);
try {
  for (const code of ['1+1', 'print(1)']) {
    await compare(
      `${code}, launcher / stock, same client`,
      '≤ 0.65',
      () => cells(ours, code),
      () => cells(stock, code),
    );
  }
  const jupyter = async () => median(await reference.cells(CELLS));
  await compare('1+1, launcher / jupyter_client direct', '≤ 0.95', () => cells(ours, '1+1'), jupyter);
  for (const [name, code] of [
    ['100,000 lines', LINES],
    ['2,500 pieces of 4 KiB', PIECES],
  ] as const) {
    const direct = async () => (await reference.run(code)).ms;
    await compare(`${name}, launcher / jupyter_client direct`, '≤ 1', () => timed(() => ours.run(code)), direct);
  }
  await compare(
    'first answer of a new kernel, launcher / stock',
    '≤ 0.75',
    () => firstAnswer(ours),
    () => firstAnswer(stock),
  );
} finally {
  await reference.stop();
  await Promise.all([ours.close(), stock.close()]);
}

async function compare(name: string, goal: string, mine: () => Promise<number>, other: () => Promise<number>) {
  const result = await interleave(rounds, mine, other);
  const ms = (values: readonly number[]) => `${median(values).toFixed(2)} (${quantile(values, 0).toFixed(2)}) ms`;
  const detail = `${ms(result.ours)} / ${ms(result.reference)}`;
  console.log(show({ name, value: median(result.ratios), unit: 'x', goal, detail }));
}

/** Median of one block, in milliseconds. */
async function cells(sessions: TestSessions, code: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < CELLS; i++) times.push(await timed(() => sessions.run(code)));
  return median(times);
}

async function firstAnswer(sessions: TestSessions): Promise<number> {
  await sessions.kernels.shutdown('fresh');
  return timed(() => sessions.run('1+1', { sessionId: 'fresh' }));
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}
