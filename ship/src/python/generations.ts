import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';

/** Numbers the kernels of each session, over restarts of the agent and restores of the ship too. */
export class Generations {
  readonly #directory: string;

  /** @param stateDir the agent's own, which outlives the incarnation */
  constructor(stateDir: string) {
    this.#directory = path.join(stateDir, 'kernels');
  }

  /** The number for a new kernel; on record before it is given, so that no number names two kernels. */
  async next(sessionId: string): Promise<number> {
    const file = this.#file(sessionId);
    const generation = (await readGeneration(file)) + 1;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const handle = await open(`${file}.new`, 'w', 0o600);
    try {
      await handle.writeFile(String(generation));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${file}.new`, file);
    return generation;
  }

  #file(sessionId: string): string {
    // A session id is any text, and no file name.
    return path.join(this.#directory, createHash('sha256').update(sessionId).digest('hex'));
  }
}

async function readGeneration(file: string): Promise<number> {
  let text;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  const generation = Number(text);
  if (!Number.isSafeInteger(generation) || generation < 1)
    throw new Error(`not a kernel generation: ${text.slice(0, 20)}`);
  return generation;
}
