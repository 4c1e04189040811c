import type { ExecutionHandle, Work, WorkEnd, WorkKind } from '../executions/execution.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { PartDeps } from '../part-deps.js';
import type { ProcessExit, SessionProcess } from '../workspace/session-runner.js';
import { OutputPump } from './output-pump.js';
import { beginWork, toArgv, toOutcome, toStarted } from './process-work.js';

/** After a process ended, output that comes this soon after the last of it still belongs to it. */
const SILENCE_MS = 50;
/** Bytes of standard input that wait in Node while the pipe is full; the registry keeps the rest. */
const STDIN_BUFFER_BYTES = 64 * 1024;

/** Shell commands: pipes, a process group and session of their own, and the session's environment. */
export function createCommandKind(deps: Pick<PartDeps, 'sessions' | 'background'>): WorkKind {
  return {
    begin: (execution) =>
      beginWork(execution, async () => {
        const { work } = execution.request;
        if (work?.$case !== 'command') throw new StatusError('INTERNAL', 'not a command');
        const { cwd, env, stdin } = work.value;
        const runner = await deps.sessions.runner(execution.sessionId);
        const process = await runner.spawn({ argv: toArgv(work.value), cwd, env, stdin, name: execution.executionId });
        return new CommandWork(process, execution, deps);
      }),
  };
}

class CommandWork implements Work {
  readonly ended: Promise<WorkEnd>;
  readonly writeInput?: Work['writeInput'];
  readonly endInput?: Work['endInput'];
  private readonly pumps: readonly OutputPump[];
  private readonly allClosed: Promise<unknown>;
  private killTimer: NodeJS.Timeout | undefined;
  private killAt = Infinity;
  /** Resolves once SIGKILL went to the whole tree. */
  private readonly killed = deferred();

  constructor(
    private readonly process: SessionProcess,
    execution: ExecutionHandle,
    deps: Pick<PartDeps, 'background'>,
  ) {
    void execution.append(toStarted(process.pid));
    this.pumps = [
      new OutputPump(process.stdout, 'stdout', execution),
      new OutputPump(process.stderr, 'stderr', execution),
    ];
    this.allClosed = Promise.all(this.pumps.map((pump) => pump.closed));
    const { stdin } = process;
    if (stdin) {
      // EPIPE: the program closed its input or ended. What is written then is dropped, as a pipe's reader would.
      stdin.on('error', () => undefined);
      this.writeInput = (data) => {
        if (stdin.destroyed || stdin.writableEnded) return data.length;
        const taken = Math.max(0, Math.min(data.length, STDIN_BUFFER_BYTES - stdin.writableLength));
        if (taken > 0) stdin.write(data.subarray(0, taken));
        return taken;
      };
      this.endInput = () => void stdin.end();
    }
    this.ended = this.watch(execution.sessionId, deps);
  }

  interrupt(): void {
    this.process.kill('SIGINT');
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  stop(graceMs: number): void {
    const at = performance.now() + graceMs;
    if (at >= this.killAt) return;
    const first = this.killAt === Infinity;
    this.killAt = at;
    clearTimeout(this.killTimer);
    if (first && graceMs > 0) {
      this.process.kill('SIGTERM');
      this.process.kill('SIGCONT'); // one that is stopped would sleep through its grace
    }
    this.killTimer = setTimeout(() => this.killTree(), graceMs);
  }

  private killTree(): void {
    this.process.kill('SIGKILL', { tree: true });
    this.killed.resolve();
  }

  private async watch(sessionId: string, deps: Pick<PartDeps, 'background'>): Promise<WorkEnd> {
    const exit = await this.process.exited;
    this.process.stdin?.destroy();
    await this.outputEnds(performance.now());
    if (this.killTimer !== undefined) {
      // Stopped: nothing of it is to live on, not even what closed its output or left the group.
      clearTimeout(this.killTimer);
      this.killTree();
    }
    const detachedOutput = this.pumps.some((pump) => !pump.isClosed);
    const background = detachedOutput ? deps.background(sessionId) : undefined;
    if (background) for (const pump of this.pumps) pump.redirect(background);
    return toWorkEnd(exit, detachedOutput);
  }

  /** At end of file on both pipes; or when what still holds them is silent; stopped work is given until its kill. */
  private async outputEnds(exitMs: number): Promise<void> {
    if (this.killTimer !== undefined) await Promise.race([this.allClosed, this.killed.promise]);
    for (;;) {
      if (this.pumps.every((pump) => pump.isClosed)) return;
      const left = this.quietSinceMs(exitMs) + SILENCE_MS - performance.now();
      await Promise.race([this.allClosed, sleep(Math.max(left, 0))]);
      // A timer comes before what can be read: look at the pipes once before believing in the silence.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.quietSinceMs(exitMs) + SILENCE_MS <= performance.now()) return;
    }
  }

  private quietSinceMs(exitMs: number): number {
    return Math.max(exitMs, ...this.pumps.map((pump) => pump.quietSinceMs));
  }
}

function toWorkEnd(exit: ProcessExit, detachedOutput: boolean): WorkEnd {
  return { outcome: toOutcome(exit), detachedOutput, oom: exit.kind !== 'lost' && exit.oom === true };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
