import { ExecutionEvent } from '../../proto/gen/shipyard/execution/v1/execution.js';
import type { ReferenceKernel } from '../lib/reference-kernel.js';
import { inMBs, inMs, interleave, median, quantile, ratioRow, type Row } from '../lib/stats.js';
import { cell, type System } from '../lib/system.js';

const ms = (value: number) => `${value.toFixed(2)} ms`;

/** 1,000 cells a side. */
const WARM_UP_ROUNDS = 10;

/** `1+1` by POST exec against jupyter_client directly: alternate blocks of 100, the ratio of each round's medians. */
export async function roundTrip(
  system: System,
  reference: ReferenceKernel,
  rounds: number,
  label: string,
  goals: readonly [string, string],
): Promise<Row[]> {
  const samples = { ours: [] as number[], reference: [] as number[] };
  const block = async (): Promise<number[]> => {
    const times: number[] = [];
    for (let i = 0; i < 100; i++) {
      const started = performance.now();
      const { output } = await system.exec<{ output: { text: string } }>('ipython/exec', { code: '1+1' });
      times.push(performance.now() - started);
      if (output.text !== '2') throw new Error(`1+1 is ${output.text}`);
    }
    return times;
  };
  const keep = (side: number[]) => (times: number[]) => (side.push(...times), median(times));
  await interleave(
    0,
    async () => median(await block()),
    async () => median(await reference.cells(100)),
    WARM_UP_ROUNDS,
  );
  const { ratios } = await interleave(
    rounds,
    async () => keep(samples.ours)(await block()),
    async () => keep(samples.reference)(await reference.cells(100)),
    0,
  );
  const [ours, theirs] = [samples.ours, samples.reference];
  const rows: Row[] = [
    {
      name: `${label}, p50`,
      value: median(ratios),
      unit: 'x',
      goal: goals[0],
      detail: `${ms(median(ours))} against ${ms(median(theirs))}`,
    },
  ];
  if (goals[1]) {
    const [a, b] = [quantile(ours, 0.99), quantile(theirs, 0.99)];
    rows.push({ name: `${label}, p99`, value: a / b, unit: 'x', goal: goals[1], detail: `${ms(a)} against ${ms(b)}` });
  }
  return rows;
}

/** Time to the first output of a cell that prints and goes on. */
export async function firstOutput(system: System, reference: ReferenceKernel, rounds: number): Promise<Row> {
  const code = "import time\nprint('a')\ntime.sleep(0.4)";
  const ours = async () => {
    const started = performance.now();
    let first = Number.NaN;
    for await (const bytes of system.events(cell(code))) {
      if (Number.isNaN(first) && ExecutionEvent.decode(bytes).event?.$case === 'stdout')
        first = performance.now() - started;
    }
    return first;
  };
  const result = await interleave(rounds, ours, () => reference.firstOutput(code));
  return ratioRow('first output of print; sleep / jupyter_client direct', '≤ 0.12', result, inMs(2));
}

/** 10 MB of output, as a rate against jupyter_client directly. */
export async function output(system: System, reference: ReferenceKernel, rounds: number): Promise<Row[]> {
  const kinds = [
    ['stdout lines / jupyter_client direct', "line = 'x' * 99\nfor _ in range(100_000): print(line)", '≥ 1.0'],
    [
      'stdout in 4 KB writes / jupyter_client direct',
      "import sys\nblock = 'x' * 4000\nfor _ in range(2500): sys.stdout.write(block)",
      '≥ 0.8',
    ],
  ] as const;
  const rows: Row[] = [];
  for (const [name, code, goal] of kinds) {
    const ours = async () => {
      const started = performance.now();
      const bytes = await system.drain(cell(code));
      if (bytes < 10_000_000) throw new Error(`only ${bytes} bytes came`);
      return 10 / ((performance.now() - started) / 1000);
    };
    const theirs = async () => 10 / ((await reference.run(code)).ms / 1000);
    const result = await interleave(rounds, ours, theirs);
    rows.push(ratioRow(name, goal, result, inMBs));
  }
  return rows;
}
