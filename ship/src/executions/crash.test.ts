import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { Cause, type ExecutionEvent } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { systemClock } from './clock.js';
import { ExecutionRegistry } from './execution-registry.js';
import { silentLog } from './testing/log-bench.js';
import { cell, RegistryBench } from './testing/registry-bench.js';

const root = new URL('../../..', import.meta.url).pathname;

describe('an agent that is killed while it works', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shipyard-crash-'));
  const program = join(directory, 'append-forever.mjs');

  beforeAll(async () => {
    await build({
      absWorkingDir: root,
      entryPoints: ['ship/src/executions/testing/append-forever.ts'],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
    });
  });

  afterAll(() => rmSync(directory, { recursive: true }));

  /** Runs an agent until a reader has seen so many events, or all, and kills it. */
  async function runUntil(incarnation: number, sequence: number): Promise<string[]> {
    const agent = spawn(process.execPath, [program, directory, String(incarnation)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = new Promise((resolve) => agent.once('exit', resolve));
    const lines: string[] = [];
    for await (const line of createInterface({ input: agent.stdout })) {
      lines.push(line);
      if (line === 'over' || Number.parseInt(line, 10) >= sequence) agent.kill('SIGKILL');
    }
    await exited;
    return lines;
  }

  it('never runs twice, never gives a number twice, and is sealed', async () => {
    const first = await runUntil(1, 40_000);
    const second = await runUntil(2, Infinity);

    expect(first[0]).toBe('begun 2');
    expect(second[0]).toBe('begun 1'); // the cell of this life alone: the other was not begun again
    const delivered = Number.parseInt(first.at(-1)!, 10);
    const [sequence, kind] = second.at(-2)!.split(' ');
    expect(kind).toBe('ended');
    expect(Number(sequence)).toBeGreaterThan(delivered);
    expect(Number(sequence) % 4096).toBe(1);
    expect(second.slice(1, -1).map((line) => Number.parseInt(line, 10))).toEqual(
      [...new Set(second.slice(1, -1).map((line) => Number.parseInt(line, 10)))].sort((a, b) => a - b),
    );

    const registry = new ExecutionRegistry({
      stateDir: directory,
      incarnation: 3,
      clock: systemClock,
      log: silentLog,
      executionMaxBytes: 1024 ** 3,
      shipMaxBytes: 4 * 1024 ** 3,
      kind: async () => {
        throw new Error('nothing runs here');
      },
    });
    registry.open();
    const bench = { registry } as unknown as RegistryBench;
    const events: ExecutionEvent[] = await RegistryBench.prototype.events.call(bench, await registry.start(cell('a')));
    expect(events.at(-1)).toMatchObject({ sequence: Number(sequence), event: { value: { cause: Cause.AGENT_LOST } } });
    // What was on its way to disk may be lost, in one piece and with a notice: 256 KiB of these 400 KB at most.
    expect(events.filter(({ event }) => event?.$case === 'truncated')).toHaveLength(1);
    expect(events.length).toBeGreaterThan(10_000);
    // An end that a reader saw stands, whatever became of the agent a moment later.
    for (const session of ['s1', 's2']) {
      const kept = await RegistryBench.prototype.events.call(bench, registry.find(session, 'ended'));
      expect(kept.at(-1)!.event).toMatchObject({ value: { outcome: { $case: 'completed' }, cause: Cause.NONE } });
    }
    await registry.close();
  });
});
