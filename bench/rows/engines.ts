import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ensureEngine, type EngineKind } from '../../scripts/lib/engines.mjs';
import { manyAtOnce, timedCreates } from '../lib/first-answer.js';
import { inMs, interleave, ratioRow, type Row } from '../lib/stats.js';
import { System } from '../lib/system.js';
import { shipMemory } from './memory.js';

const run = promisify(execFile);
const AT_ONCE = 16;

/**
 * Ships in containers, on the engine that answers or on one of our own: how long until a new one answers, against
 * `docker run --rm` of the same image with a bare Python; sixteen at once; and what a ship holds of memory.
 */
export async function engineRows(kind: EngineKind, rounds: number, ships: number): Promise<Row[]> {
  const engine = await ensureEngine(kind);
  try {
    const system = await System.start({
      CONTAINER_DRIVER: kind === 'docker' ? 'docker-host' : 'podman-host',
      ...(kind === 'docker' ? { DOCKER_HOST: engine.host } : { CONTAINER_HOST: engine.host }),
      MAX_SHIP_NUM: '40',
    });
    try {
      const image = process.env['DOCKER_IMAGE'] ?? 'ship:latest';
      const bare = () => bareRun(kind, engine.host, image);
      return [
        await toFirstAnswer(system, kind, 'python', '≤ 1.6', rounds, bare),
        await toFirstAnswer(system, kind, 'shell', '≤ 1.25', rounds, bare),
        await manyAtOnce(system, kind, AT_ONCE, '≤ 6000'),
        { ...(await shipMemory(system, ships, '≤ 60')), name: `${kind}: memory of a ship after its first cell` },
      ];
    } finally {
      await system.stop();
    }
  } finally {
    await engine.stop();
  }
}

async function toFirstAnswer(
  system: System,
  kind: EngineKind,
  what: 'python' | 'shell',
  goal: string,
  rounds: number,
  bare: () => Promise<number>,
): Promise<Row> {
  const result = await interleave(rounds, timedCreates(system, what), bare);
  return ratioRow(`${kind}: create to first ${what} answer / run --rm python3`, goal, result, inMs(0));
}

/** Milliseconds of the engine's own command, as people type it. */
async function bareRun(kind: EngineKind, host: string, image: string): Promise<number> {
  const [command, where] = kind === 'docker' ? ['docker', '--host'] : ['podman', '--url'];
  const started = performance.now();
  const { stdout } = await run(command, [where, host, 'run', '--rm', image, 'python3', '-c', 'print(1)'], {
    timeout: 60_000,
  });
  if (stdout.trim() !== '1') throw new Error(`${command} run printed ${stdout}`);
  return performance.now() - started;
}
