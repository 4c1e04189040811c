import { StartExecutionRequest } from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import type { BackgroundSink, EventBody, ExecutionHandle } from '../../executions/execution.js';

/** An ExecutionHandle that keeps what it is given; `room` decides when the log takes more. */
export class RecordedExecution implements ExecutionHandle {
  readonly sessionId = 'session-1';
  readonly executionId = 'execution-1';
  readonly request: StartExecutionRequest;
  readonly signal: AbortSignal;
  readonly lastSequence = 0;
  readonly events: EventBody[] = [];
  readonly bytes = { stdout: 0, stderr: 0, pty: 0 };
  room: (() => Promise<void> | undefined) | undefined;
  private readonly chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[], pty: [] as Buffer[] };
  private wake: (() => void) | undefined;

  constructor(
    work: NonNullable<StartExecutionRequest['work']>,
    options: { signal?: AbortSignal; keep?: boolean } = {},
  ) {
    this.request = { ...StartExecutionRequest.fromPartial({ sessionId: this.sessionId }), work };
    this.signal = options.signal ?? new AbortController().signal;
    this.keep = options.keep ?? true;
  }

  private readonly keep: boolean;

  append(event: EventBody): undefined {
    this.events.push(event);
  }

  output(stream: 'stdout' | 'stderr' | 'pty', bytes: Uint8Array): Promise<void> | undefined {
    this.bytes[stream] += bytes.length;
    if (this.keep) this.chunks[stream].push(Buffer.from(bytes));
    this.wake?.();
    return this.room?.();
  }

  endIsNear(): void {}

  text(stream: 'stdout' | 'stderr' | 'pty'): string {
    return Buffer.concat(this.chunks[stream]).toString();
  }

  /** Resolves once the stream holds the text. */
  async until(stream: 'stdout' | 'stderr' | 'pty', text: string): Promise<void> {
    while (!this.text(stream).includes(text)) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  asBackground(): BackgroundSink {
    return this;
  }
}

export function command(fields: {
  command?: string;
  argv?: string[];
  cwd?: string;
  env?: Record<string, string>;
  stdin?: boolean;
}): NonNullable<StartExecutionRequest['work']> {
  return {
    $case: 'command',
    value: { command: '', argv: [], cwd: '', env: {}, stdin: false, background: false, ...fields },
  };
}

export function terminal(fields: {
  command?: string;
  argv?: string[];
  cwd?: string;
  size?: { columns: number; rows: number };
}): NonNullable<StartExecutionRequest['work']> {
  return {
    $case: 'terminal',
    value: { command: '', argv: [], cwd: '', env: {}, size: undefined, term: '', ...fields },
  };
}
