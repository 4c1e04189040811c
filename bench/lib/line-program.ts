import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { within } from './within.js';

const folder = path.resolve(import.meta.dirname, '../reference');
/** To say goodbye to a kernel. */
const STOP_MS = 10_000;

/** A Python program of bench/reference, which says a line at a time and ends with its input. */
export class LineProgram {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string, undefined>;
  readonly #exited: Promise<void>;

  constructor(
    python: string,
    readonly script: string,
    ...args: string[]
  ) {
    this.#child = spawn(python, [path.join(folder, script), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin.on('error', () => undefined); // it ended: the next line tells
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()).once('error', () => resolve()));
  }

  /** @throws Error where the program ended, or the line does not come */
  async next(what: string): Promise<string> {
    const line = await within(`${what} by ${this.script}`, this.#lines.next());
    if (line.done) throw new Error(`${this.script} ended before ${what}`);
    return line.value;
  }

  send(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    await within(`the end of ${this.script}`, this.#exited, STOP_MS).catch(() => this.#child.kill('SIGKILL'));
    await within(`the end of ${this.script}, which was killed`, this.#exited);
  }
}
