import { spawn, type ChildProcess } from 'node:child_process';
import { json } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { within } from './within.js';

const LAST_WORDS = 2000;

/** ipykernel's own launcher in a bubblewrap that sees the machine's files; of what goes wrong it says why. */
export class BareKernel {
  readonly #launcher: ChildProcess;
  readonly #init: Promise<{ 'child-pid': number }>;
  readonly #exited: Promise<string>;
  /** Rejects when the kernel ends. */
  readonly ended: Promise<never>;

  constructor(python: string, folder: string) {
    const sandbox = ['--dev-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--unshare-all', '--die-with-parent'];
    const kernel = [python, '-m', 'ipykernel_launcher', '-f', `${folder}/connection.json`];
    this.#launcher = spawn('bwrap', [...sandbox, '--bind', folder, folder, '--info-fd', '3', '--', ...kernel], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    let said = '';
    this.#launcher.stderr?.on('data', (data: Buffer) => (said = `${said}${data.toString()}`.slice(-LAST_WORDS)));
    this.#init = json(this.#launcher.stdio[3] as Readable) as Promise<{ 'child-pid': number }>;
    this.#exited = new Promise((resolve) => {
      this.#launcher.once('error', (error) => resolve(error.message));
      this.#launcher.once('close', (code, signal) => resolve(`${signal ?? `exit code ${code}`}: ${said}`));
    });
    this.ended = this.#exited.then((how) => {
      throw new Error(`the bare kernel ended with ${how}`);
    });
    for (const promise of [this.#init, this.ended]) promise.catch(() => undefined); // looked at while somebody waits
  }

  /** Kills the sandbox's init: the launcher's end, before it let the init go on, would leave that waiting for ever. */
  async stop(): Promise<void> {
    const init = await within("the bare kernel's sandbox", this.#init).catch(() => undefined);
    if (init) process.kill(init['child-pid'], 'SIGKILL');
    else this.#launcher.kill('SIGKILL');
    await within('the end of the bare kernel', this.#exited);
  }
}
