import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ProcessExit, SessionProcess, SessionRunner, SpawnSpec } from '../../workspace/session-runner.js';

const ROOT = path.resolve(import.meta.dirname, '../../../..');

/** The Python of tests: SHIPYARD_PYTHON, else the checkout's .venv. */
export function testPython(): string {
  const python = process.env['SHIPYARD_PYTHON'] ?? path.join(ROOT, '.venv/bin/python');
  if (!existsSync(python))
    throw new Error(`no Python with ipykernel at ${python}: run npm run setup, or set SHIPYARD_PYTHON`);
  return python;
}

/** Name and interpreter: the Python of tests, and an older one (ipykernel 6.17) where SHIPYARD_PYTHON_617 names it. */
export function testPythons(): [name: string, python: string][] {
  const older = process.env['SHIPYARD_PYTHON_617'];
  return [['newest ipykernel', testPython()], ...(older ? [['ipykernel 6.17', older] as [string, string]] : [])];
}

export const SUPPORT_DIR = path.join(ROOT, 'ship/python');

export interface LocalRunnerOptions {
  readonly python?: string;
  readonly supportDir?: string;
}

/** A session runner without a sandbox: processes only, for tests of what runs in them. */
export class LocalSessionRunner implements SessionRunner {
  readonly sessionId: string;
  readonly home: string;
  readonly workspace: string;
  readonly socketDir: { readonly outside: string; readonly inside: string };
  readonly python: string;
  readonly supportDir: string;
  readonly gone: Promise<void>;
  readonly spawned: LocalProcess[] = [];
  readonly #directory: string;
  #markGone!: () => void;

  constructor(sessionId: string, options: LocalRunnerOptions = {}) {
    this.sessionId = sessionId;
    this.#directory = mkdtempSync(path.join(tmpdir(), 'ship-'));
    this.home = path.join(this.#directory, 'home');
    this.workspace = path.join(this.home, 'workspace');
    mkdirSync(this.workspace, { recursive: true });
    const sockets = path.join(this.#directory, 's');
    mkdirSync(sockets, { mode: 0o700 });
    this.socketDir = { outside: sockets, inside: sockets };
    this.python = options.python ?? testPython();
    this.supportDir = options.supportDir ?? SUPPORT_DIR;
    this.gone = new Promise((resolve) => (this.#markGone = resolve));
  }

  async spawn(spec: SpawnSpec): Promise<LocalProcess> {
    const started = new LocalProcess(spec, this.workspace, this.home);
    this.spawned.push(started);
    return started;
  }

  async close(): Promise<void> {
    for (const each of this.spawned) each.kill('SIGKILL');
    await Promise.all(this.spawned.map((each) => each.exited));
    rmSync(this.#directory, { recursive: true, force: true });
    this.#markGone();
  }

  openTerminal = unsupported;
  fileOperation = unsupported;
  openRead = unsupported;
  openWrite = unsupported;
}

async function unsupported(): Promise<never> {
  throw new Error('the local runner of tests only spawns');
}

export class LocalProcess implements SessionProcess {
  readonly pid: number;
  readonly stdout;
  readonly stderr;
  readonly stdin;
  readonly exited: Promise<ProcessExit>;

  constructor(spec: SpawnSpec, workspace: string, home: string) {
    const [command = '', ...args] = spec.argv;
    const child = spawn(command, args, {
      cwd: workspace,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: home, LANG: 'C.UTF-8', PYTHONDONTWRITEBYTECODE: '1', ...spec.env },
    });
    if (child.pid === undefined) throw new Error(`not started: ${command}`);
    this.pid = child.pid;
    this.stdin = child.stdin;
    this.stdout = child.stdout;
    this.stderr = child.stderr;
    this.exited = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        resolve(signal === null ? { kind: 'exited', code: code ?? 0 } : { kind: 'signaled', signal });
      });
    });
  }

  workBegins(): void {
    // Without a cgroup there is no evidence of kills.
  }

  kill(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
