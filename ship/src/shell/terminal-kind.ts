import { StatusError } from '../../../proto/rpc/status-error.js';
import type { ExecutionHandle, Work, WorkEnd, WorkKind } from '../executions/execution.js';
import type { PartDeps } from '../part-deps.js';
import type { SessionTerminal } from '../workspace/session-runner.js';
import { OutputPump } from './output-pump.js';
import { beginWork, toArgv, toOutcome, toStarted } from './process-work.js';

const DEFAULT_SIZE = { columns: 80, rows: 24 };
const DEFAULT_TERM = 'xterm-256color';
/** What a terminal shows is there at its program's end; this long without any of it means that the helper is stuck. */
const DRAIN_SILENCE_MS = 5_000;

/** Terminals: a program, by default an interactive bash, on a pseudo-terminal that it controls. */
export function createTerminalKind(deps: Pick<PartDeps, 'sessions'>): WorkKind {
  return {
    begin: (execution) =>
      beginWork(execution, async () => {
        const { work } = execution.request;
        if (work?.$case !== 'terminal') throw new StatusError('INTERNAL', 'not a terminal');
        const { cwd, env, size, term } = work.value;
        const runner = await deps.sessions.runner(execution.sessionId);
        const terminal = await runner.openTerminal({
          argv: toArgv(work.value),
          cwd,
          env,
          name: execution.executionId,
          ...sizeOf(size),
          term: term || DEFAULT_TERM,
        });
        return new TerminalWork(terminal, execution);
      }),
  };
}

class TerminalWork implements Work {
  readonly ended: Promise<WorkEnd>;
  private readonly pump: OutputPump;
  private killTimer: NodeJS.Timeout | undefined;
  private killAt = Infinity;

  constructor(
    private readonly terminal: SessionTerminal,
    execution: ExecutionHandle,
  ) {
    void execution.append(toStarted(terminal.pid));
    this.pump = new OutputPump(terminal.output, 'pty', execution);
    this.ended = this.watch();
  }

  interrupt(): void {
    this.terminal.kill('SIGINT', { foreground: true });
  }

  signal(name: NodeJS.Signals): void {
    this.terminal.kill(name);
  }

  writeInput(data: Uint8Array): number {
    return this.terminal.write(data);
  }

  /** A terminal's input has no end but the character that programs take for one (Ctrl-D). */
  endInput(): void {
    this.terminal.write(Buffer.from('\x04'));
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows);
  }

  stop(graceMs: number): void {
    const at = performance.now() + graceMs;
    if (at >= this.killAt) return;
    const first = this.killAt === Infinity;
    this.killAt = at;
    clearTimeout(this.killTimer);
    if (first && graceMs > 0) {
      // Hung up, as when a terminal's window is closed: bash passes it on to its jobs.
      this.terminal.kill('SIGHUP');
      this.terminal.kill('SIGCONT');
    }
    this.killTimer = setTimeout(() => this.terminal.kill('SIGKILL', { tree: true }), graceMs);
  }

  private async watch(): Promise<WorkEnd> {
    const exit = await this.terminal.exited;
    await this.drained();
    if (this.killTimer !== undefined) {
      clearTimeout(this.killTimer);
      this.terminal.kill('SIGKILL', { tree: true });
    }
    return { outcome: toOutcome(exit), oom: exit.kind !== 'lost' && exit.oom === true };
  }

  private async drained(): Promise<void> {
    const timer = setInterval(() => {
      if (performance.now() - this.pump.quietSinceMs > DRAIN_SILENCE_MS) this.terminal.output.destroy();
    }, 1_000);
    try {
      await this.pump.closed;
    } finally {
      clearInterval(timer);
    }
  }
}

function sizeOf(size: { columns: number; rows: number } | undefined): { columns: number; rows: number } {
  return { columns: size?.columns || DEFAULT_SIZE.columns, rows: size?.rows || DEFAULT_SIZE.rows };
}
