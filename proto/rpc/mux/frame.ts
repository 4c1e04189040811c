/**
 * Frames as bytes. Data is written and read by hand, because it is nearly all of the traffic: its bytes are a view of what
 * arrived, where ts-proto would copy them. Everything else is left to ts-proto.
 */
import { Frame } from '../../gen/shipyard/mux/v1/mux.js';

/** The generation of the protocol that this program speaks, and the oldest that it understands. */
export const PROTOCOL_GENERATION = 1;
export const MIN_PROTOCOL_GENERATION = 1;

/** The most that one Data frame carries. */
export const MAX_DATA_BYTES = 64 * 1024;
/** The longest frame of any kind: one with much metadata. */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** The longest message, in one Data frame or many. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Data bytes that each side of a call may send before the other has granted any. */
export const INITIAL_CREDIT_BYTES = 256 * 1024;
/** The most that Open and Close carry of a message themselves, where both sides have the feature. */
export const MAX_INLINE_BYTES = 16 * 1024;
export const INLINE_FEATURE = 'inline';
/** Calls that one side may have open. */
export const MAX_OPEN_CALLS = 1024;
/** Call ids are uint32. */
export const MAX_CALL_ID = 2 ** 32 - 1;

const TAG_CALL_ID = 0x08;
const TAG_DATA = 0x22;
const TAG_BYTES = 0x0a;
const TAG_MORE = 0x10;

export type FrameBody = NonNullable<Frame['body']>;

export function encodeFrame(callId: number, body: FrameBody): Buffer {
  const bytes = Frame.encode({ callId, body }).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * What a link writes: a Buffer, or as much of one as grpc-js uses when it puts a message behind its own header. So the
 * bytes of a large piece are copied once on their way out, and not twice.
 */
export interface OutgoingFrame {
  readonly length: number;
  readonly byteLength: number;
  copy(target: Buffer, at: number): number;
}

/** Below this, one small copy costs less than another object. */
const COPIED_BYTES = 2048;

/** One piece of a message: `bytes` from `start` to `end`. They must not change any more: a link may take its time. */
export function encodeData(callId: number, bytes: Buffer, start: number, end: number, more: boolean): OutgoingFrame {
  const length = end - start;
  const inner = (more ? 2 : 0) + (length > 0 ? 1 + varintLength(length) + length : 0);
  const total = 1 + varintLength(callId) + 1 + varintLength(inner) + inner;
  const isCopied = total <= COPIED_BYTES;
  const head = Buffer.allocUnsafe(isCopied ? total : total - length);
  head[0] = TAG_CALL_ID;
  let at = writeVarint(head, 1, callId);
  head[at] = TAG_DATA;
  at = writeVarint(head, at + 1, inner);
  if (more) {
    head[at++] = TAG_MORE;
    head[at++] = 1;
  }
  if (length > 0) {
    head[at] = TAG_BYTES;
    at = writeVarint(head, at + 1, length);
  }
  if (!isCopied) return new DataFrame(head, bytes.subarray(start, end));
  bytes.copy(head, at, start, end);
  return head;
}

/** A large piece behind its head. */
export class DataFrame implements OutgoingFrame {
  readonly length: number;

  constructor(
    readonly head: Buffer,
    readonly bytes: Buffer,
  ) {
    this.length = head.length + bytes.length;
  }

  get byteLength(): number {
    return this.length;
  }

  copy(target: Buffer, at: number): number {
    this.head.copy(target, at);
    this.bytes.copy(target, at + this.head.length);
    return this.length;
  }
}

/** For links that need one piece. */
export function toBuffer(frame: OutgoingFrame): Buffer {
  if (Buffer.isBuffer(frame)) return frame;
  const bytes = Buffer.allocUnsafe(frame.length);
  frame.copy(bytes, 0);
  return bytes;
}

/** @throws Error where the bytes are no frame */
export function decodeFrame(bytes: Buffer): Frame {
  return decodeData(bytes) ?? Frame.decode(bytes);
}

/** A Data frame in the order of fields that we write; `undefined` leaves all other forms to ts-proto. */
function decodeData(frame: Buffer): Frame | undefined {
  if (frame[0] !== TAG_CALL_ID) return undefined;
  let at = 1;
  let callId = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = frame[at++];
    if (byte === undefined || scale > 2 ** 28) return undefined;
    callId += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  if (frame[at++] !== TAG_DATA) return undefined;
  let inner = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = frame[at++];
    if (byte === undefined || scale > 2 ** 28) return undefined;
    inner += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  if (at + inner !== frame.length) return undefined;
  let more = false;
  if (frame[at] === TAG_MORE) {
    more = frame[at + 1] === 1;
    at += 2;
  }
  let length = 0;
  if (at < frame.length) {
    if (frame[at++] !== TAG_BYTES) return undefined;
    for (let scale = 1; ; scale *= 128) {
      const byte = frame[at++];
      if (byte === undefined || scale > 2 ** 28) return undefined;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
  }
  if (at + length !== frame.length) return undefined;
  return { callId, body: { $case: 'data', value: { bytes: frame.subarray(at), more } } };
}

function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

function writeVarint(target: Buffer, at: number, value: number): number {
  while (value >= 0x80) {
    target[at++] = (value & 0x7f) | 0x80;
    value = Math.floor(value / 128);
  }
  target[at++] = value;
  return at;
}
