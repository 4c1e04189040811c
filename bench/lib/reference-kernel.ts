import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');

/** jupyter_client on a stock kernel, as bench/reference/jupyter.py describes it. */
export async function startReferenceKernel(python: string): Promise<ReferenceKernel> {
  const child = spawn(python, [path.join(root, 'bench/reference/jupyter.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line: IteratorResult<string, undefined> = await lines.next();
    if (line.done) throw new Error('the reference kernel ended');
    return JSON.parse(line.value) as unknown;
  };
  await next();
  const ask = async <T>(command: object): Promise<T> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    return (await next()) as T;
  };
  return {
    cells: (count) => ask<number[]>({ cells: count }),
    run: (code) => ask({ run: code }),
    firstOutput: (code) => ask<number>({ first_output: code }),
    stop: () => new Promise((resolve) => (child.once('exit', () => resolve()), child.stdin.end())),
  };
}

export interface ReferenceKernel {
  /** Milliseconds of each `1+1`. */
  cells(count: number): Promise<number[]>;
  run(code: string): Promise<{ ms: number; characters: number }>;
  /** Milliseconds until the first output. */
  firstOutput(code: string): Promise<number>;
  stop(): Promise<void>;
}
