export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** One line of the report. Goals are reported, never asserted. */
export interface Row {
  readonly name: string;
  /** Ours by the reference's, or an absolute figure. */
  readonly value: number;
  readonly unit: 'x' | 'MiB' | 'ms' | 'MB/s' | 'requests';
  /** "≤ 0.95"; empty where there is none. */
  readonly goal: string;
  /** The two sides in plain figures. */
  readonly detail: string;
}

export function show({ name, value, unit, goal, detail }: Row): string {
  const [, sign, bound] = /^([≤≥]) ([\d.]+)/.exec(goal) ?? [];
  const met = bound === undefined ? ' ' : (sign === '≤' ? value <= Number(bound) : value >= Number(bound)) ? '✓' : '✗';
  return `${met} ${name.padEnd(58)} ${`${value.toFixed(unit === 'x' ? 2 : 1)} ${unit}`.padStart(10)}  ${goal.padEnd(8)} ${detail}`;
}

/**
 * Alternates the two sides for some rounds, and answers the ratio of each round.
 *
 * @param warmUp rounds before those that count: both sides run code that V8 compiles only after some thousand calls
 */
export async function interleave(
  rounds: number,
  ours: () => Promise<number>,
  reference: () => Promise<number>,
  warmUp = 1,
): Promise<{ ratios: number[]; ours: number[]; reference: number[] }> {
  for (let round = 0; round < warmUp; round++) {
    await ours();
    await reference();
  }
  const result = { ratios: [] as number[], ours: [] as number[], reference: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0;
    const a = first ? await ours() : Number.NaN;
    const b = await reference();
    const mine = first ? a : await ours();
    result.ours.push(mine);
    result.reference.push(b);
    result.ratios.push(mine / b);
  }
  return result;
}

/** Both sides of interleave() as a row: the median of the ratios, and in plain figures the median of each side. */
export function ratioRow(
  name: string,
  goal: string,
  { ratios, ours, reference }: Awaited<ReturnType<typeof interleave>>,
  plain: (value: number) => string,
): Row {
  const detail = `${plain(median(ours))} against ${plain(median(reference))}`;
  return { name, value: median(ratios), unit: 'x', goal, detail };
}

export const inMs = (digits: number) => (value: number) => `${value.toFixed(digits)} ms`;
export const inMBs = (value: number) => `${value.toFixed(0)} MB/s`;
