import type { Display, Ended, ExecutionEvent } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { withoutColours, type CellOutcome, type CommandOutcome } from './way.js';

/**
 * A whole log as bytes, with its end. Fails where the stream stopped without `ended`, or where a number is missing
 * without a word.
 */
export interface FoldedLog {
  readonly events: readonly ExecutionEvent[];
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly pty: Buffer;
  readonly ended: Ended;
}

export async function foldLog(stream: AsyncIterable<ExecutionEvent>): Promise<FoldedLog> {
  const events: ExecutionEvent[] = [];
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[], pty: [] as Buffer[] };
  for await (const event of stream) {
    const last =
      events.at(-1)?.sequence ?? (event.event?.$case === 'truncated' ? event.event.value.first : event.sequence) - 1;
    // What is gone is told in its place: `truncated` stands for the numbers from first to its own.
    const first = event.event?.$case === 'truncated' ? event.event.value.first : event.sequence;
    if (first !== last + 1) throw new Error(`event ${first} came after ${last}`);
    events.push(event);
    if (event.event?.$case === 'stdout' || event.event?.$case === 'stderr' || event.event?.$case === 'pty') {
      const { content } = event.event.value;
      output[event.event.$case].push(content?.$case === 'data' ? content.value : Buffer.from(content?.value ?? ''));
    }
  }
  const last = events.at(-1)?.event;
  if (last?.$case !== 'ended') throw new Error(`the stream stopped without ended, at ${last?.$case}`);
  return {
    events,
    ended: last.value,
    stdout: Buffer.concat(output.stdout),
    stderr: Buffer.concat(output.stderr),
    pty: Buffer.concat(output.pty),
  };
}

/** The documented fold of a cell (the answer of `ipython/exec`), written a second time as the judge of the first. */
export function toCellOutcome({ events, ended }: FoldedLog): CellOutcome {
  let text = '';
  let error = '';
  let executionCount: number | null = null;
  const images: string[] = [];
  for (const { event } of events) {
    switch (event?.$case) {
      case 'stdout':
      case 'stderr':
        text += event.value.content?.$case === 'text' ? event.value.content.value : '';
        break;
      case 'display': {
        const { png, plain } = representations(event.value);
        if (png) images.push(png);
        else text += plain;
        break;
      }
      case 'result': {
        const { png, plain } = representations(event.value);
        if (png) images.push(png);
        text += plain;
        break;
      }
      default:
        break; // nothing that the documented answer shows
      case 'error':
        error = withoutColours(event.value.traceback.join('\n'));
        break;
    }
  }
  if (ended.executionCount > 0) executionCount = ended.executionCount;
  return { success: ended.outcome?.$case === 'completed', text: text.trim(), images, error, executionCount };
}

export function toCommandOutcome({ stdout, stderr, ended }: FoldedLog): CommandOutcome {
  const exitCode = ended.outcome?.$case === 'exited' ? ended.outcome.value.code : null;
  return { exitCode, stdout: stdout.toString().trim(), stderr: stderr.toString().trim() };
}

function representations(display: Display): { png: string | undefined; plain: string } {
  const find = (type: string) => display.items.find((item) => item.mimeType === type)?.content;
  const png = find('image/png');
  const plain = find('text/plain');
  return {
    png: png?.$case === 'data' ? png.value.toString('base64') : undefined,
    plain: plain?.$case === 'text' ? plain.value : '',
  };
}
