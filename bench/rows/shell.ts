import { spawn } from 'node:child_process';
import { inMBs, inMs, interleave, median, ratioRow, type Row } from '../lib/stats.js';
import { command, type System } from '../lib/system.js';

/** `shell/exec true` by HTTP against a spawn of the same by Node. */
export async function shellTrue(system: System, rounds: number): Promise<Row> {
  const block = async (act: () => Promise<void>) => {
    const times: number[] = [];
    for (let i = 0; i < 30; i++) {
      const started = performance.now();
      await act();
      times.push(performance.now() - started);
    }
    return median(times);
  };
  const ours = () =>
    block(async () => {
      const { return_code } = await system.exec<{ return_code: number }>('shell/exec', { command: 'true' });
      if (return_code !== 0) throw new Error(`true answered ${return_code}`);
    });
  const reference = () =>
    block(
      () =>
        new Promise(
          (resolve, reject) =>
            void spawn('bash', ['-c', 'true'], { stdio: ['ignore', 'pipe', 'pipe'] })
              .once('close', () => resolve())
              .once('error', reject),
        ),
    );
  await ours();
  await reference();
  const result = await interleave(rounds, ours, reference);
  return ratioRow("shell/exec true / spawn('bash', ['-c', 'true'])", '≤ 1.4', result, inMs(2));
}

/** 200 MB of a command's output through Bay and Ship, against a local pipe. Reported, without a goal. */
export async function shellOutput(system: System, rounds: number): Promise<Row> {
  const line = "head -c 200000000 /dev/zero | tr '\\0' x";
  const rate = async (read: () => Promise<number>) => {
    const started = performance.now();
    const bytes = await read();
    if (bytes < 200_000_000) throw new Error(`only ${bytes} bytes came`);
    return 200 / ((performance.now() - started) / 1000);
  };
  const reference = () =>
    rate(async () => {
      let bytes = 0;
      for await (const piece of spawn('bash', ['-c', line], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout)
        bytes += (piece as Buffer).length;
      return bytes;
    });
  const result = await interleave(rounds, () => rate(() => system.drain(command(line))), reference);
  return ratioRow('shell stdout of 200 MB / a local pipe', '', result, inMBs);
}
