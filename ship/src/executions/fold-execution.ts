import {
  type CellError,
  type Ended,
  ExecutionEvent,
  Output,
  type RunExecutionResponse,
  type Started,
} from '../../../proto/gen/shipyard/execution/v1/execution.js';

export const DEFAULT_FOLD_BYTES = 1024 * 1024;

/** stdout, stderr and outputs together, so that the answer stays below the 4 MiB that generated stubs take. */
const MAX_ANSWER_BYTES = 3.5 * 1024 * 1024;

/**
 * The fold of a log: waits for its end and keeps the head of what it carries.
 *
 * @param events encoded, from the first to `ended`
 * @param maxOutputBytes of stdout and stderr together
 */
export async function foldExecution(
  executionId: string,
  events: AsyncIterable<Uint8Array>,
  maxOutputBytes: number,
): Promise<RunExecutionResponse> {
  const fold = new Fold(maxOutputBytes || DEFAULT_FOLD_BYTES);
  for await (const encoded of events) fold.take(ExecutionEvent.decode(encoded));
  return fold.answer(executionId);
}

class Fold {
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  readonly #outputs: Output[] = [];
  #outputBytes = 0;
  #streamBytes = 0;
  #started: Started | undefined;
  #error: CellError | undefined;
  #ended: Ended | undefined;
  #lastSequence = 0;
  /** The first event that is not here as a whole. */
  #cutAt: number | undefined;

  constructor(private readonly maxStreamBytes: number) {}

  take({ sequence, event }: ExecutionEvent): void {
    this.#lastSequence = sequence;
    switch (event?.$case) {
      case 'stdout':
      case 'pty':
        return this.#takeOutput(this.#stdout, sequence, event.value.content);
      case 'stderr':
        return this.#takeOutput(this.#stderr, sequence, event.value.content);
      case 'display':
      case 'result':
        return this.#takeDisplay(sequence, { output: { $case: event.$case, value: event.value } });
      case 'updateDisplay': {
        const { displayId } = event.value;
        for (const { output } of this.#outputs)
          if (displayId !== '' && output?.value.displayId === displayId) output.value = event.value;
        return;
      }
      case 'started':
        this.#started = event.value;
        return;
      case 'error':
        this.#error = event.value;
        return;
      case 'truncated':
        this.#cutAt ??= event.value.first;
        return;
      case 'ended':
        this.#ended = event.value;
        return;
      default:
        return;
    }
  }

  answer(executionId: string): RunExecutionResponse {
    return {
      executionId,
      ended: this.#ended,
      started: this.#started,
      stdout: Buffer.concat(this.#stdout),
      stderr: Buffer.concat(this.#stderr),
      outputs: this.#outputs,
      error: this.#error,
      truncated: this.#cutAt !== undefined,
      nextSequence: this.#cutAt ?? this.#lastSequence + 1,
    };
  }

  #takeOutput(
    stream: Buffer[],
    sequence: number,
    content: { $case: 'text'; value: string } | { $case: 'data'; value: Buffer } | undefined,
  ): void {
    if (!content) return;
    const bytes = content.$case === 'text' ? Buffer.from(content.value) : content.value;
    const room = this.maxStreamBytes - this.#streamBytes;
    if (bytes.length > room) this.#cutAt ??= sequence;
    if (room === 0) return;
    const head = bytes.length > room ? bytes.subarray(0, headBytes(bytes, room)) : bytes;
    this.#streamBytes += bytes.length > room ? room : head.length; // nothing is added behind a cut
    stream.push(head);
  }

  #takeDisplay(sequence: number, output: Output): void {
    const bytes = Output.encode(output).finish().length;
    if (this.#outputBytes + bytes > MAX_ANSWER_BYTES - this.maxStreamBytes) {
      this.#cutAt ??= sequence;
      return;
    }
    this.#outputBytes += bytes;
    this.#outputs.push(output);
  }
}

/** At most `room` bytes, without half a UTF-8 character at the end. */
function headBytes(bytes: Buffer, room: number): number {
  let end = room;
  while (end > 0 && room - end < 3 && (bytes[end]! & 0xc0) === 0x80) end--;
  return (bytes[end]! & 0xc0) === 0x80 ? room : end;
}
