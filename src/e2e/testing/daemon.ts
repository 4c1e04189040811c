import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { eventually } from './processes.js';

const END_MS = 30_000;

/** A daemon that these tests may end, known by the file that holds its process id. */
export class Daemon {
  readonly #pidFile: string;
  readonly #log: string;
  readonly #pid: number;
  readonly #argv: readonly string[];
  readonly #environment: NodeJS.ProcessEnv;
  readonly #cwd: string;

  /** Reads from the living process how it was started. */
  constructor({ pidFile, log }: { readonly pidFile: string; readonly log: string }) {
    this.#pidFile = pidFile;
    this.#log = log;
    this.#pid = Number(readFileSync(pidFile, 'utf8'));
    this.#argv = split(`/proc/${this.#pid}/cmdline`);
    this.#environment = Object.fromEntries(
      split(`/proc/${this.#pid}/environ`).map((line) => [
        line.slice(0, line.indexOf('=')),
        line.slice(line.indexOf('=') + 1),
      ]),
    );
    this.#cwd = readlinkSync(`/proc/${this.#pid}/cwd`);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    process.kill(this.#pid, signal);
    await eventually('the daemon ends', () => !isAlive(this.#pid), END_MS);
  }

  /**
   * Starts it again as it was; the file gets the new process id. A daemon that is told of the file writes it by itself, and
   * does not start where it finds one.
   */
  start(): void {
    rmSync(this.#pidFile, { force: true });
    const [command = '', ...args] = this.#argv;
    const log = openSync(this.#log, 'a');
    const stdio = ['ignore', log, log] as const;
    const child = spawn(command, args, { detached: true, stdio: [...stdio], cwd: this.#cwd, env: this.#environment });
    closeSync(log);
    child.unref();
    if (!this.#argv.includes(this.#pidFile)) writeFileSync(this.#pidFile, `${child.pid}`);
  }
}

const split = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .split('\0')
    .filter((part) => part !== '');

/** A zombie has ended, though whoever started it has not looked. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false; // the answer, not a failure
  }
}
