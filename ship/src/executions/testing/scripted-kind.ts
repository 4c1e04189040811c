import { Started } from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import type { ExecutionHandle, Work, WorkEnd, WorkKind } from '../execution.js';

/** A kind of work that does what the test says; every begin is remembered. */
export class ScriptedKind implements WorkKind {
  readonly begun: ScriptedWork[] = [];
  /** Held before begin() answers. */
  gate: Promise<void> = Promise.resolve();
  /** What begin() throws, once. */
  failure: Error | undefined;
  /** Whether work ends when it is stopped. */
  obedient = true;
  /** Appends `started` by itself. */
  starts = true;
  /** Input that a write takes at most. */
  inputTakes = Infinity;

  async begin(execution: ExecutionHandle): Promise<Work> {
    const work = new ScriptedWork(this, execution);
    this.begun.push(work);
    await this.gate;
    if (this.failure) {
      const { failure } = this;
      this.failure = undefined;
      throw failure;
    }
    if (this.starts) work.start();
    return work;
  }

  /** The work of an execution, once it began. */
  work(executionId: string): ScriptedWork {
    const work = this.begun.find((each) => each.execution.executionId === executionId);
    if (!work) throw new Error(`${executionId} did not begin`);
    return work;
  }
}

export class ScriptedWork implements Work {
  readonly ended: Promise<WorkEnd>;
  readonly stops: number[] = [];
  readonly signals: string[] = [];
  readonly answers: [number, string][] = [];
  readonly sizes: [number, number][] = [];
  interrupts = 0;
  input = '';
  inputEnded = false;
  #end: (end: WorkEnd) => void = () => undefined;

  constructor(
    private readonly kind: ScriptedKind,
    readonly execution: ExecutionHandle,
  ) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  start(): void {
    void this.execution.append({ $case: 'started', value: Started.fromPartial({ pid: 7, byteExact: true }) });
  }

  print(text: string): void {
    void this.execution.output('stdout', Buffer.from(text));
  }

  finish(end: WorkEnd = { outcome: { $case: 'exited', value: { code: 0 } } }): void {
    this.#end(end);
  }

  interrupt(): void {
    this.interrupts++;
  }

  stop(graceMs: number): void {
    this.stops.push(graceMs);
    if (this.kind.obedient)
      this.finish({ outcome: { $case: 'signaled', value: { name: 'SIGTERM' } }, statePreserved: true });
  }

  signal = (name: NodeJS.Signals): void => {
    this.signals.push(name);
  };

  writeInput = (data: Uint8Array): number => {
    const taken = Math.min(data.length, this.kind.inputTakes);
    this.input += Buffer.from(data.subarray(0, taken)).toString();
    return taken;
  };

  endInput = (): void => {
    this.inputEnded = true;
  };

  resize = (columns: number, rows: number): void => {
    this.sizes.push([columns, rows]);
  };

  answerInput = (requestSequence: number, value: string): void => {
    this.answers.push([requestSequence, value]);
  };
}
