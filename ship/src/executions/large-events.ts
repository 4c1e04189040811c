import type { BlobPart } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import {
  ExecutionEvent,
  MimeItem,
  type CellError,
  type Comm,
  type Display,
} from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { EventBody } from './execution.js';

/** An encoded event is never larger. */
export const MAX_EVENT_BYTES = 256 * 1024;

/** What an event may hold itself before its largest values move to parts; leaves room for numbers and references. */
const BODY_BYTES = MAX_EVENT_BYTES - 4 * 1024;
const PART_BYTES = 192 * 1024;
/** A MIME type's name with the reference to its parts. */
const REFERENCE_BYTES = 320;
/** What of a too large text stays readable in the event itself. */
const HEAD_CHARS = 16 * 1024;
const PROMPT_BYTES = 64 * 1024;

/**
 * An event as it goes into the log: itself where it fits, else with its largest values moved to the `blob_part` events
 * that follow it directly. Order and content are kept, nothing is cut but the prompt of an input request.
 */
export function splitLarge(event: EventBody): EventBody[] {
  if (event.$case === 'inputRequest') return [cutPrompt(event)];
  if (encodedSize(event) <= BODY_BYTES) return [event];
  const parts: BlobPart[] = [];
  switch (event.$case) {
    case 'display':
    case 'updateDisplay':
    case 'result':
      return [{ ...event, value: shrinkDisplay(event.value, parts) }, ...parts.map(toEvent)];
    case 'error':
      return [{ ...event, value: shrinkError(event.value, parts) }, ...parts.map(toEvent)];
    case 'commOpen':
    case 'commMsg':
    case 'commClose':
      return [{ ...event, value: shrinkComm(event.value, parts) }, ...parts.map(toEvent)];
    default:
      // The other kinds hold numbers and, for output, chunks that were cut to size before.
      return [event];
  }
}

function cutPrompt(event: Extract<EventBody, { $case: 'inputRequest' }>): EventBody {
  const { prompt } = event.value;
  if (prompt.length * 3 <= PROMPT_BYTES) return event;
  const bytes = Buffer.from(prompt);
  let end = Math.min(bytes.length, PROMPT_BYTES);
  while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--; // within a character
  return { ...event, value: { ...event.value, prompt: bytes.toString('utf8', 0, end) } };
}

function toEvent(part: BlobPart): EventBody {
  return { $case: 'blobPart', value: part };
}

function encodedSize(event: EventBody): number {
  // A character is at most 3 bytes for each UTF-16 unit; most events are told to be small without encoding them.
  const roughly = roughSize(event);
  return roughly * 3 <= BODY_BYTES
    ? roughly
    : ExecutionEvent.encode({ sequence: 0, elapsedUs: 0, event }).finish().length;
}

function roughSize(event: EventBody): number {
  switch (event.$case) {
    case 'display':
    case 'updateDisplay':
    case 'result':
      return event.value.items.reduce(
        (sum, item) => sum + item.mimeType.length + contentLength(item) + 16,
        event.value.metadataJson.length + event.value.displayId.length,
      );
    case 'error':
      return event.value.traceback.reduce(
        (sum, line) => sum + line.length + 8,
        event.value.value.length + event.value.name.length,
      );
    case 'commOpen':
    case 'commMsg':
    case 'commClose':
      return event.value.buffers.reduce(
        (sum, buffer) => sum + buffer.length + 8,
        event.value.dataJson.length + event.value.metadataJson.length + event.value.targetName.length,
      );
    default:
      return 0;
  }
}

function contentLength(item: MimeItem): number {
  return item.content?.$case === 'text' || item.content?.$case === 'data' ? item.content.value.length : 0;
}

/** Moves the largest items until the rest fits; the order of items stays. */
function shrinkDisplay(display: Display, parts: BlobPart[]): Display {
  const items = [...display.items];
  const largeFields: MimeItem[] = [];
  let metadataJson = display.metadataJson;
  let budget = BODY_BYTES - 1024 - items.length * REFERENCE_BYTES;
  if (Buffer.byteLength(metadataJson) > budget / 4) {
    largeFields.push(moveOut('metadata_json', Buffer.from(metadataJson), true, parts));
    metadataJson = '';
  }
  budget -= Buffer.byteLength(metadataJson);

  const sizes = items.map((item) => MimeItem.encode(item).finish().length);
  let total = sizes.reduce((sum, size) => sum + size, 0);
  const moved: number[] = [];
  const largestFirst = [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]!);
  for (const at of largestFirst) {
    if (total <= budget) break;
    moved.push(at);
    total -= sizes[at]!;
  }
  for (const at of moved.sort((a, b) => a - b)) {
    const { mimeType, content } = items[at]!;
    if (content?.$case === 'text') items[at] = moveOut(mimeType, Buffer.from(content.value), true, parts);
    else if (content?.$case === 'data') items[at] = moveOut(mimeType, content.value, false, parts);
  }
  return { ...display, items, metadataJson, largeFields };
}

function shrinkError(error: CellError, parts: BlobPart[]): CellError {
  const largeFields: MimeItem[] = [];
  let { name, value, traceback } = error;
  if (name.length > HEAD_CHARS) {
    largeFields.push(moveOut('name', Buffer.from(name), true, parts));
    name = headOf(name, HEAD_CHARS);
  }
  if (value.length > HEAD_CHARS) {
    largeFields.push(moveOut('value', Buffer.from(value), true, parts));
    value = headOf(value, HEAD_CHARS);
  }
  const lines = traceback.join('\n');
  if (lines.length > HEAD_CHARS) {
    largeFields.push(moveOut('traceback', Buffer.from(lines), true, parts));
    traceback = headOf(lines, HEAD_CHARS).split('\n');
  }
  return { ...error, name, value, traceback, largeFields };
}

function shrinkComm(comm: Comm, parts: BlobPart[]): Comm {
  const largeFields = [
    moveOut('data_json', Buffer.from(comm.dataJson), true, parts),
    moveOut('metadata_json', Buffer.from(comm.metadataJson), true, parts),
    ...comm.buffers.map((buffer, at) => moveOut(`buffers/${at}`, buffer, false, parts)),
  ];
  return { ...comm, dataJson: '', metadataJson: '', buffers: [], largeFields };
}

function moveOut(name: string, bytes: Buffer, text: boolean, parts: BlobPart[]): MimeItem {
  let index = 0;
  for (let at = 0; at < bytes.length; at += PART_BYTES, index++)
    parts.push({ mimeType: name, index, data: bytes.subarray(at, at + PART_BYTES) });
  return { mimeType: name, content: { $case: 'parts', value: { count: index, sizeBytes: bytes.length, text } } };
}

/** The beginning, without half a surrogate pair. */
function headOf(text: string, chars: number): string {
  if (text.length <= chars) return text;
  const last = text.charCodeAt(chars - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? chars - 1 : chars);
}
