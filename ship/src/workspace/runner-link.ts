import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { REASONS, type Reason } from '../../../proto/rpc/reasons.js';
import { isPipeHandle, type PipeHandle } from './pipes.js';
import { RunnerWatchdog } from './runner-watchdog.js';
import type { SandboxCommand } from './sandbox-command.js';

/** What a request brought: its result, and the pipe ends that came with it, by name. */
export interface RunnerAnswer {
  readonly result: Readonly<Record<string, unknown>>;
  readonly pipes: ReadonlyMap<string, PipeHandle>;
}

/** Something that the runner reports by itself. */
export type RunnerEvent = Readonly<Record<string, unknown>> & { readonly event: string };

interface Pending {
  readonly resolve: (answer: RunnerAnswer) => void;
  readonly reject: (error: StatusError) => void;
  readonly pipes: Map<string, PipeHandle>;
}

/** Of what the runner or bubblewrap writes to stderr, the last of it is kept, for the reason of a failed start. */
const STDERR_BYTES = 4096;
/** How long a runner may take to leave after its channel was closed. */
const LEAVE_MS = 2_000;
/** How often a guard is told to end in that time, before it is killed. */
const GUARD_ASKED = 20;

/**
 * The channel to one session runner: requests and their answers, pipe ends, events, and the runner's end. The runner
 * has no rights beyond the session's, and a descriptor that is no pipe cannot come from it, since session code can
 * neither trace it nor take its descriptors.
 */
export class RunnerLink {
  /** Resolves when the runner's process is gone and nothing more will come. */
  readonly gone: Promise<void>;
  private readonly child: ChildProcess;
  private readonly killAll: () => void;
  private readonly pending = new Map<number, Pending>();
  private readonly watchdog: RunnerWatchdog;
  private nextId = 1;
  private stderr = '';
  private ended = false;

  constructor(
    command: SandboxCommand,
    options: { scratchDir: string; onEvent: (event: RunnerEvent) => void; onStderr: (text: string) => void },
  ) {
    const inputs = command.inputs.map((bytes, index) => openInput(options.scratchDir, index, bytes));
    try {
      this.child = spawn(command.file, command.args, {
        cwd: '/',
        env: { LANG: 'C.UTF-8' },
        stdio: ['ignore', 'ignore', 'pipe', 'ipc', ...inputs],
        serialization: 'json',
      });
    } finally {
      for (const input of inputs) closeSync(input);
    }
    const exited = new Promise<void>((resolve) => {
      const end = (): void => {
        this.end();
        resolve();
      };
      this.child.once('exit', end);
      this.child.on('error', (error) => {
        this.stderr += error.message;
        if (this.child.pid === undefined) end();
      });
    });
    this.watchdog = new RunnerWatchdog({
      ask: () => this.post({ id: 0, op: 'ping' }),
      isWaited: () => this.pending.size > 0,
      onSilent: () => {
        options.onStderr('the session has stopped its runner, which is ended');
        this.kill();
      },
    });
    const { end, guarded } = command;
    const killChild = guarded ? (): void => endGuard(this.child) : (): void => void this.child.kill('SIGKILL');
    // One at a time: two would end each other.
    const endAll = end && oneAfterTheOther(() => runToItsEnd(end, options.onStderr));
    this.killAll = endAll ? () => void endAll() : killChild;
    this.gone = exited.then(endAll);
    this.child.on('message', (message: unknown, handle: unknown) => this.receive(message, handle, options.onEvent));
    // The runner is gone; what stands around it (bubblewrap, the guard) ends what it left, and then itself.
    this.child.once('disconnect', () => void this.close());
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_BYTES);
      options.onStderr(text);
    });
  }

  /** Rejects with the runner's error, or when the runner goes away. */
  request(op: string, fields: Readonly<Record<string, unknown>>): Promise<RunnerAnswer> {
    if (this.ended) return Promise.reject(this.lost());
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject, pipes: new Map() });
      this.send({ id, op, ...fields });
    });
  }

  /** A request whose answer nobody waits for. */
  tell(op: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.ended) this.send({ id: 0, op, ...fields });
  }

  /** Ends the runner, and everything in the session with it. */
  async close(): Promise<void> {
    if (this.ended) return;
    // The runner ends at the end of its channel.
    if (this.child.connected) this.child.disconnect();
    const timer = setTimeout(() => this.kill(), LEAVE_MS);
    await this.gone;
    clearTimeout(timer);
  }

  kill(): void {
    this.killAll();
  }

  /** Why it ended, as far as anybody said. */
  get lastWords(): string {
    return this.stderr.trim();
  }

  private send(message: object): void {
    this.watchdog.said();
    this.post(message);
  }

  private post(message: object): void {
    this.child.send(message, (error) => {
      // The channel broke: 'exit' follows and rejects what is pending.
      if (error) this.kill();
    });
  }

  private receive(message: unknown, handle: unknown, onEvent: (event: RunnerEvent) => void): void {
    this.watchdog.heard();
    if (!isRecord(message)) return closeUnused(handle);
    if (typeof message['event'] === 'string') {
      closeUnused(handle);
      onEvent(message as RunnerEvent);
      return;
    }
    const id = Number(message['id']);
    const pending = this.pending.get(id);
    if (pending === undefined) return closeUnused(handle);
    if (typeof message['handle'] === 'string') {
      if (isPipeHandle(handle)) pending.pipes.set(message['handle'], handle);
      return;
    }
    this.pending.delete(id);
    if (isRecord(message['error'])) {
      for (const pipe of pending.pipes.values()) pipe.close();
      pending.reject(toStatusError(message['error']));
      return;
    }
    pending.resolve({ result: isRecord(message['ok']) ? message['ok'] : {}, pipes: pending.pipes });
  }

  private end(): void {
    this.ended = true;
    this.watchdog.close();
    for (const { reject, pipes } of this.pending.values()) {
      for (const pipe of pipes.values()) pipe.close();
      reject(this.lost());
    }
    this.pending.clear();
  }

  private lost(): StatusError {
    return new StatusError('FILE_OPERATION_FAILED', 'the sandbox of the session went away');
  }
}

/** Killed, it would leave a runner behind that the session has stopped, so it is asked; code of the session may stop it too. */
function endGuard(guard: ChildProcess): void {
  let asked = 0;
  const ask = (): void => {
    if (asked++ === GUARD_ASKED) guard.kill('SIGKILL');
    for (const signal of ['SIGCONT', 'SIGUSR1'] as const) guard.kill(signal);
  };
  ask();
  const timer = setInterval(ask, LEAVE_MS / GUARD_ASKED).unref();
  guard.once('exit', () => clearInterval(timer));
}

function oneAfterTheOther(act: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  return () => (last = last.then(act));
}

/** It bounds itself; the agent may have no right to end it. */
function runToItsEnd([file, ...args]: readonly [string, ...string[]], onStderr: (text: string) => void): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: '/', env: { LANG: 'C.UTF-8' }, stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', onStderr);
    child.once('error', (error) => onStderr(error.message)).once('close', () => resolve());
  });
}

/** A descriptor that reads these bytes; the file behind it has no name any more. */
function openInput(directory: string, index: number, bytes: Uint8Array): number {
  const path = join(directory, `input-${index}`);
  writeFileSync(path, bytes, { mode: 0o600 });
  const descriptor = openSync(path, 'r');
  rmSync(path);
  return descriptor;
}

function closeUnused(handle: unknown): void {
  if (isPipeHandle(handle)) handle.close();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toStatusError(error: Record<string, unknown>): StatusError {
  const reason = String(error['reason']);
  const details = isRecord(error['details']) ? (error['details'] as Record<string, string | number>) : {};
  return new StatusError(isReason(reason) ? reason : 'INTERNAL', String(error['message']), { details });
}

function isReason(name: string): name is Reason {
  return Object.hasOwn(REASONS, name);
}
