import { constants } from 'node:os';
import type { OomWatch } from './oom-watch.js';
import type { RunnerAnswer, RunnerEvent, RunnerLink } from './runner-link.js';
import type { ProcessExit } from './session-runner.js';

/** A process that the runner started, on pipes or on a terminal. */
export class RunningProcess {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  private readonly mark: number;
  private killed = false;
  private killsBefore: number;

  constructor(
    private readonly link: RunnerLink,
    answer: RunnerAnswer,
    exited: Promise<ProcessExit>,
    private readonly oom: OomWatch,
  ) {
    this.pid = Number(answer.result['pid']);
    this.mark = Number(answer.result['mark']);
    this.killsBefore = oom.count();
    this.exited = exited.then((exit) =>
      this.looksKilled(exit) && oom.explains(this.killsBefore) ? { ...exit, oom: true } : exit,
    );
  }

  workBegins(): void {
    this.killsBefore = this.oom.count();
  }

  kill(signal: NodeJS.Signals, options: { tree?: boolean; foreground?: boolean } = {}): void {
    if (signal === 'SIGKILL') this.killed = true;
    const { tree = false, foreground = false } = options;
    this.link.tell('kill', { pid: this.pid, mark: this.mark, signal: constants.signals[signal], tree, foreground });
  }

  /** By somebody else's SIGKILL, itself or its shell's child. */
  private looksKilled(exit: ProcessExit): boolean {
    if (this.killed || exit.kind === 'lost') return false;
    return exit.kind === 'signaled' ? exit.signal === 'SIGKILL' : exit.code === 128 + constants.signals.SIGKILL;
  }
}

/** How the runner tells an end. */
export function toExit(event: RunnerEvent): ProcessExit {
  if (typeof event['code'] === 'number') return { kind: 'exited', code: event['code'] };
  return { kind: 'signaled', signal: String(event['signal']) as NodeJS.Signals };
}
