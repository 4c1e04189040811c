import type { CellError, Comm, Display, MimeItem } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { EventBody } from '../executions/execution.js';
import { boundBuffers, boundTypes, toId, toJson } from './bounded.js';
import { toInteger, toObject, toText, type KernelReply } from './wire.js';

/** What a message on iopub says: a piece of output, an event, or nothing that the log keeps (status, execute_input). */
export type Meaning =
  { readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array } | { readonly event: EventBody } | undefined;

/** @param executionCount In[n] of the cell, for its errors */
export function toMeaning(message: KernelReply, executionCount: number): Meaning {
  const { content } = message;
  switch (message.type) {
    case 'stream':
      return toOutput(message);
    case 'display_data':
      return { event: { $case: 'display', value: toDisplay(content) } };
    case 'update_display_data':
      return { event: { $case: 'updateDisplay', value: toDisplay(content) } };
    case 'execute_result':
      return { event: { $case: 'result', value: toDisplay(content) } };
    case 'clear_output':
      return { event: { $case: 'clearOutput', value: { wait: content['wait'] === true } } };
    case 'error':
      return { event: { $case: 'error', value: toCellError(content, executionCount) } };
    case 'comm_open':
      return { event: { $case: 'commOpen', value: toComm(message) } };
    case 'comm_msg':
      return { event: { $case: 'commMsg', value: toComm(message) } };
    case 'comm_close':
      return { event: { $case: 'commClose', value: toComm(message) } };
    default:
      return undefined;
  }
}

function toOutput({ content, buffers }: KernelReply): Meaning {
  const stream = content['name'] === 'stderr' ? 'stderr' : 'stdout';
  // Where the text cannot say it all, our launcher sends the bytes beside it.
  const bytes = buffers[0] ?? Buffer.from(toText(content['text']), 'utf8');
  return bytes.length > 0 ? { stream, bytes } : undefined;
}

function toDisplay(content: KernelReply['content']): Display {
  return {
    items: toItems(content['data']),
    metadataJson: toJson(toObject(content['metadata']), '{}'),
    displayId: toId(toText(toObject(content['transient'])['display_id'])),
    executionCount: toInteger(content['execution_count']),
    largeFields: [],
  };
}

/** A display of what `obj?` and `%page` show: in a notebook a pager, which only the reply carries. */
export function toPages(reply: KernelReply): EventBody[] {
  const payloads: unknown = reply.content['payload'];
  if (!Array.isArray(payloads)) return [];
  return payloads
    .map(toObject)
    .filter((payload) => payload['source'] === 'page')
    .map((payload) => ({ $case: 'display' as const, value: toDisplay(payload) }));
}

/** @param content of an `error` message or of a reply with status error */
export function toCellError(content: KernelReply['content'], executionCount: number): CellError {
  const traceback: unknown = content['traceback'];
  return {
    name: toText(content['ename']),
    value: toText(content['evalue']),
    traceback: Array.isArray(traceback) ? traceback.map(toText) : [],
    executionCount,
    largeFields: [],
  };
}

function toComm({ content, metadata, buffers }: KernelReply): Comm {
  return {
    commId: toId(toText(content['comm_id'])),
    targetName: toId(toText(content['target_name'])),
    dataJson: toJson(content['data'] ?? {}, '{}'),
    metadataJson: toJson(metadata, '{}'),
    buffers: boundBuffers(buffers),
    largeFields: [],
  };
}

function toItems(data: unknown): MimeItem[] {
  return boundTypes(Object.entries(toObject(data))).map(([mimeType, value]) => ({
    mimeType,
    content: toContent(mimeType, value),
  }));
}

/** A JSON text, as every reader of such an item expects one. */
const TOO_DEEP = JSON.stringify('a value that is nested too deeply to be shown');

function toContent(mimeType: string, value: unknown): MimeItem['content'] {
  if (isJson(mimeType)) return { $case: 'text', value: toJson(value, TOO_DEEP) };
  // Lines, as in a notebook's file, are one text.
  const text = Array.isArray(value) ? value.map(toText).join('') : toText(value);
  return isBinary(mimeType) ? { $case: 'data', value: Buffer.from(text, 'base64') } : { $case: 'text', value: text };
}

/** Types that Jupyter carries as base64. SVG and XML are text. */
function isBinary(mimeType: string): boolean {
  if (mimeType.endsWith('+xml')) return false;
  return /^(image|audio|video|font)\//.test(mimeType) || BINARY.has(mimeType);
}

const BINARY: ReadonlySet<string> = new Set(['application/pdf', 'application/octet-stream', 'application/zip']);

function isJson(mimeType: string): boolean {
  return mimeType === 'application/json' || mimeType.endsWith('+json');
}
