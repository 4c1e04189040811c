import { LineProgram } from './line-program.js';

/** jupyter_client on a stock kernel, as bench/reference/jupyter.py describes it. */
export async function startReferenceKernel(python: string): Promise<ReferenceKernel> {
  const program = new LineProgram(python, 'jupyter.py');
  const ask = async <T>(command: object): Promise<T> => {
    const text = JSON.stringify(command);
    program.send(text);
    return JSON.parse(await program.next(`the answer to ${text}`)) as T;
  };
  try {
    await program.next('the first answer of a kernel');
  } catch (error) {
    await program.stop();
    throw error;
  }
  return {
    cells: (count) => ask<number[]>({ cells: count }),
    run: (code) => ask({ run: code }),
    firstOutput: (code) => ask<number>({ first_output: code }),
    stop: () => program.stop(),
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
