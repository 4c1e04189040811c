import type { PythonCell } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { ExecutionHandle, Outcome, Work, WorkEnd } from '../executions/execution.js';
import type { ProcessExit } from '../workspace/session-runner.js';
import { toCellError, toMeaning, toPages } from './to-event.js';
import { toInteger, toText, type KernelReply, type RequestType } from './wire.js';

/** What a cell needs of its kernel. */
export interface CellKernel {
  readonly generation: number;
  readonly byteExact: boolean;
  readonly lossless: boolean;
  /** Our launcher's: it announces input requests on iopub, and knows a SIGINT from `busy` on. */
  readonly ours: boolean;
  nextId(): string;
  send(channel: 'shell' | 'stdin', id: string, type: RequestType, content: object): void;
  interrupt(): void;
  kill(): void;
  /** The cell is over; the next may come. */
  finished(cell: Cell, executionCount: number): void;
}

/** A cell that the kernel has finished says so by its reply and by `idle`; where one is missing it is given up after this. */
const LOST_HALF_MS = 1000;

/** Silence behind the reply: a kernel that is not idle then never will be, since nothing of the cell runs any more. */
const SILENT_MS = 30_000;
/** The same, once the cell is to stop. */
const SILENT_AT_END_MS = 500;

/** One cell in the kernel. It is over when its reply and its `idle` are in, in whatever order, or when the kernel is gone. */
export class Cell implements Work {
  readonly id: string;
  readonly ended: Promise<WorkEnd>;
  readonly #handle: ExecutionHandle;
  readonly #kernel: CellKernel;
  readonly #request: PythonCell;
  #end!: (end: WorkEnd) => void;
  #over = false;

  #reply: KernelReply | undefined;
  #idle = false;
  #sawError = false;
  #executionCount = 0;
  #lostHalf: NodeJS.Timeout | undefined;
  #settling = '';

  #begun = false;
  /** When it was first to be interrupted, on the monotonic clock; undefined once the kernel has taken the cell up. */
  #interruptedMs: number | undefined;
  #interrupted = false;
  #stopAsked = false;
  #bySelf = false;
  #killTimer: NodeJS.Timeout | undefined;

  #question: { readonly sequence: number; asked: boolean; answer?: string } | undefined;
  #askedAhead = 0;

  constructor(handle: ExecutionHandle, request: PythonCell, kernel: CellKernel) {
    this.#handle = handle;
    this.#request = request;
    this.#kernel = kernel;
    this.id = kernel.nextId();
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  begin(): void {
    // The kernel first: it works while the log is written.
    this.#kernel.send('shell', this.id, 'execute_request', {
      code: this.#request.code,
      silent: this.#request.silent,
      store_history: !this.#request.silent,
      user_expressions: {},
      allow_stdin: this.#request.allowStdin,
      // The queue is ours; the kernel has nothing behind this cell to give up.
      stop_on_error: false,
    });
    const { generation, byteExact, lossless } = this.#kernel;
    void this.#handle.append({
      $case: 'started',
      value: { startTime: new Date(), pid: 0, kernelGeneration: generation, byteExact, lossless },
    });
  }

  // What the kernel says

  onIopub(message: KernelReply): Promise<void> | undefined {
    if (this.#reply && !this.#over) this.#awaitLastOutput();
    switch (message.type) {
      case 'status':
        return this.#onStatus(message.content);
      case 'execute_input': // of a stock kernel
        this.#executionCount = toInteger(message.content['execution_count']);
        this.#canBeInterrupted();
        return undefined;
      case 'shipyard_input_request':
        return this.#ask(message, this.#askedAhead > 0);
      default:
        return this.#append(message);
    }
  }

  #append(message: KernelReply): Promise<void> | undefined {
    const meaning = toMeaning(message, this.#executionCount);
    if (!meaning) return undefined;
    if ('stream' in meaning) return this.#handle.output(meaning.stream, meaning.bytes);
    if (meaning.event.$case === 'error') this.#sawError = true;
    // The value of the last line is the last that there is to tell, nearly always.
    if (meaning.event.$case === 'result') this.#handle.endIsNear();
    return this.#handle.append(meaning.event);
  }

  #onStatus(content: KernelReply['content']): undefined {
    const state = toText(content['execution_state']);
    if (state === 'busy') this.#onBusy(content);
    if (state !== 'idle') return;
    this.#idle = true;
    this.#finishIfOver();
    // An interrupt in the wrong moment makes a stock kernel forget its reply.
    if (!this.#over) this.#lostHalf = setTimeout(() => this.#replyIsLost(), LOST_HALF_MS);
  }

  #onBusy(content: KernelReply['content']): void {
    if (!this.#kernel.ours) {
      if (this.#request.silent) this.#canBeInterrupted();
      return;
    }
    if (!this.#request.silent) this.#executionCount = toInteger(content['execution_count']);
    // Said some milliseconds late, and later still while the code keeps the interpreter to itself.
    this.#canBeInterrupted(toInteger(content['monotonic_us']) / 1000);
  }

  /** Ours answers whatever happens: one that does not has lost the means, and would fail every cell to come. */
  #replyIsLost(): void {
    if (!this.#kernel.ours || this.#interrupted) {
      this.#finish(this.#withoutReply());
      return;
    }
    void this.#handle.output('stderr', Buffer.from('the kernel came to an end of the cell without an answer\n'));
    this.#kernel.kill();
  }

  onReply(reply: KernelReply): void {
    this.#reply = reply;
    this.#bySelf = !this.#stopAsked;
    clearTimeout(this.#killTimer);
    this.#finishIfOver();
    if (!this.#over) {
      this.#handle.endIsNear();
      this.#awaitLastOutput();
    }
    // A stock kernel drops messages, `idle` too, when it is faster than its reader: ask it for something to follow.
    if (!this.#over && !this.#kernel.lossless) this.#lostHalf = setTimeout(() => this.#settle(), LOST_HALF_MS);
  }

  /** Nothing runs any more, and the rest of its output is on the way: unless the kernel can never say so. */
  #awaitLastOutput(): void {
    clearTimeout(this.#killTimer);
    const silentMs = this.#stopAsked ? SILENT_AT_END_MS : SILENT_MS;
    this.#killTimer = setTimeout(() => this.#kernel.kill(), silentMs);
  }

  #settle(): void {
    this.#settling = this.#kernel.nextId();
    this.#kernel.send('shell', this.#settling, 'kernel_info_request', {});
  }

  /** A message that belongs to our question in settle(): whatever the cell said has come before it, or never will. */
  onSettled(parentId: string): void {
    if (this.#settling === '' || parentId !== this.#settling || this.#over) return;
    this.#idle = true;
    this.#finishIfOver();
  }

  onInputRequest(message: KernelReply): Promise<void> | undefined {
    if (!this.#kernel.ours) return this.#ask(message, true);
    if (this.#question && !this.#question.asked) {
      this.#question.asked = true;
      this.#answer();
    } else {
      this.#askedAhead++;
    }
    return undefined;
  }

  #ask({ content }: KernelReply, asked: boolean): Promise<void> | undefined {
    if (asked && this.#askedAhead > 0) this.#askedAhead--;
    const held = this.#handle.append({
      $case: 'inputRequest',
      value: { prompt: toText(content['prompt']), password: content['password'] === true },
    });
    this.#question = { sequence: this.#handle.lastSequence, asked };
    return held;
  }

  /** @param lastWords what the process itself wrote on its way out */
  onGone(exit: ProcessExit, ending: boolean, lastWords: Buffer): void {
    if (this.#over) return;
    this.#bySelf = !this.#stopAsked;
    if (lastWords.length > 0) void this.#handle.output('stderr', lastWords);
    const oom = exit.kind !== 'lost' && exit.oom === true;
    this.#finish(toDeath(exit), { statePreserved: false, kernelRestarted: ending, ...(oom ? { oom } : {}) });
  }

  // What others want of it

  interrupt(): void {
    if (this.#over || this.#reply) return;
    if (!this.#begun) {
      // A SIGINT before the kernel has taken the cell up does nothing, and is sent again then.
      this.#interruptedMs ??= monotonicMs();
      if (!this.#kernel.ours) return;
    }
    this.#interrupted = true;
    this.#kernel.interrupt();
  }

  stop(graceMs: number): void {
    if (this.#over) return;
    this.#stopAsked = true;
    clearTimeout(this.#killTimer);
    if (this.#reply) {
      this.#awaitLastOutput();
      return;
    }
    if (graceMs <= 0) {
      this.#kernel.kill();
      return;
    }
    this.interrupt();
    this.#killTimer = setTimeout(() => this.#kernel.kill(), graceMs);
  }

  answerInput(requestSequence: number, value: string): void {
    if (this.#question?.sequence !== requestSequence || this.#question.answer !== undefined) return;
    this.#question.answer = value;
    this.#answer();
  }

  #answer(): void {
    const question = this.#question;
    // The kernel throws away what arrives before it asks on stdin.
    if (question?.answer === undefined || !question.asked) return;
    this.#question = undefined;
    this.#kernel.send('stdin', this.#kernel.nextId(), 'input_reply', { status: 'ok', value: question.answer });
  }

  /** @param sinceMs when the kernel took the cell up, on the monotonic clock; what is unknown is now */
  #canBeInterrupted(sinceMs = monotonicMs()): void {
    if (this.#begun) return;
    this.#begun = true;
    const wantedMs = this.#interruptedMs;
    this.#interruptedMs = undefined;
    if (wantedMs !== undefined && wantedMs < sinceMs) this.interrupt();
  }

  // The end

  #finishIfOver(): void {
    if (!this.#reply || !this.#idle) return;
    const { content } = this.#reply;
    if (!this.#request.silent) this.#executionCount = toInteger(content['execution_count']);
    for (const page of toPages(this.#reply)) void this.#handle.append(page);
    this.#finish(this.#outcomeOf(content));
  }

  #outcomeOf(content: KernelReply['content']): Outcome {
    switch (content['status']) {
      case 'ok':
        return { $case: 'completed', value: {} };
      case 'error':
        if (!this.#sawError) {
          void this.#handle.append({ $case: 'error', value: toCellError(content, this.#executionCount) });
        }
        return { $case: 'raised', value: {} };
      default:
        return { $case: 'unknown', value: {} };
    }
  }

  #withoutReply(): Outcome {
    if (!this.#interrupted) return { $case: 'unknown', value: {} };
    if (!this.#sawError) {
      const value = toCellError({ ename: 'KeyboardInterrupt' }, this.#executionCount);
      void this.#handle.append({ $case: 'error', value });
    }
    return { $case: 'raised', value: {} };
  }

  #finish(outcome: Outcome, more: Partial<WorkEnd> = { statePreserved: true }): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#lostHalf);
    clearTimeout(this.#killTimer);
    const executionCount = this.#request.silent ? 0 : this.#executionCount;
    this.#kernel.finished(this, executionCount);
    this.#end({ outcome, executionCount, bySelf: this.#bySelf, ...more });
  }
}

/** CLOCK_MONOTONIC, which the kernel reads too. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

function toDeath(exit: ProcessExit): Outcome {
  switch (exit.kind) {
    case 'exited':
      return { $case: 'kernelDied', value: { exitCode: exit.code, signal: '' } };
    case 'signaled':
      return { $case: 'kernelDied', value: { exitCode: undefined, signal: exit.signal } };
    case 'lost':
      return { $case: 'kernelDied', value: { exitCode: undefined, signal: '' } };
  }
}
