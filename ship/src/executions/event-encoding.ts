import { ExecutionEvent } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { OutputStream } from './output-coalescer.js';

/** Field numbers of shipyard.execution.v1.ExecutionEvent and Chunk, as tags of wire type 0 and 2. */
const TAG_SEQUENCE = (1 << 3) | 0;
const TAG_ELAPSED = (2 << 3) | 0;
const TAG_OUTPUT: Record<OutputStream, number> = { stdout: (12 << 3) | 2, stderr: (13 << 3) | 2, pty: (14 << 3) | 2 };
const TAG_CHUNK_TEXT = (1 << 3) | 2;
const TAG_CHUNK_DATA = (2 << 3) | 2;

/**
 * An event of output, encoded. The same bytes as ts-proto's encode would give, without turning them into a string and
 * back: output is most of what passes through here.
 */
export function encodeOutput(
  sequence: number,
  elapsedUs: number,
  stream: OutputStream,
  bytes: Uint8Array,
  isText: boolean,
): Buffer {
  const chunkSize = 1 + varintSize(bytes.length) + bytes.length;
  const size =
    1 + varintSize(sequence) + (elapsedUs > 0 ? 1 + varintSize(elapsedUs) : 0) + 1 + varintSize(chunkSize) + chunkSize;
  const event = Buffer.allocUnsafe(size);
  event[0] = TAG_SEQUENCE;
  let at = writeVarint(event, 1, sequence);
  if (elapsedUs > 0) {
    event[at] = TAG_ELAPSED;
    at = writeVarint(event, at + 1, elapsedUs);
  }
  event[at] = TAG_OUTPUT[stream];
  at = writeVarint(event, at + 1, chunkSize);
  event[at] = isText ? TAG_CHUNK_TEXT : TAG_CHUNK_DATA;
  at = writeVarint(event, at + 1, bytes.length);
  event.set(bytes, at);
  return event;
}

export function encodeEvent(sequence: number, elapsedUs: number, event: ExecutionEvent['event']): Buffer {
  return toBuffer(ExecutionEvent.encode({ sequence, elapsedUs, event }).finish());
}

/** The number of an encoded event, which is its first field. */
export function sequenceOf(event: Uint8Array): number {
  let value = 0;
  let scale = 1;
  for (let at = 1; at < event.length && at <= 8; at++) {
    const byte = event[at]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  throw new Error('not an encoded execution event');
}

export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Numbers are below 2^53, so that plain arithmetic does. */
function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

function writeVarint(target: Buffer, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest >= 128) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}
