/**
 * Frames as bytes. Data, and what begins and ends a call, are written and read by hand, because they are nearly all of the
 * traffic: their bytes are a view of what arrived, where ts-proto would copy them. Everything else is left to ts-proto.
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
const TAG_OPEN = 0x1a;
const TAG_METHOD = 0x0a;
const TAG_TIMEOUT_MS = 0x18;
const TAG_REQUEST = 0x22;
const TAG_DATA = 0x22;
const TAG_BYTES = 0x0a;
const TAG_MORE = 0x10;
const TAG_CLOSE = 0x42;
const TAG_RESPONSE = 0x2a;

const NO_BYTES = Buffer.alloc(0);

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
  let at = writeHead(head, callId, TAG_DATA, inner);
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

/** An Open without metadata, whose time fits in 32 bits. The peer has the inline feature where there is a request. */
export function encodeOpen(callId: number, method: string, timeoutMs: number, request: Buffer | undefined): Buffer {
  const methodBytes = Buffer.byteLength(method);
  const inner =
    1 +
    varintLength(methodBytes) +
    methodBytes +
    (timeoutMs > 0 ? 1 + varintLength(timeoutMs) : 0) +
    (request ? 1 + varintLength(request.length) + request.length : 0);
  const frame = Buffer.allocUnsafe(1 + varintLength(callId) + 1 + varintLength(inner) + inner);
  let at = writeHead(frame, callId, TAG_OPEN, inner);
  frame[at] = TAG_METHOD;
  at = writeVarint(frame, at + 1, methodBytes);
  at += frame.write(method, at);
  if (timeoutMs > 0) {
    frame[at] = TAG_TIMEOUT_MS;
    at = writeVarint(frame, at + 1, timeoutMs);
  }
  if (request) writeBytes(frame, at, TAG_REQUEST, request);
  return frame;
}

/** The Close of a call that went well. The peer has the inline feature where there is a response. */
export function encodeAnswer(callId: number, response: Buffer | undefined): Buffer {
  const inner = response ? 1 + varintLength(response.length) + response.length : 0;
  const frame = Buffer.allocUnsafe(1 + varintLength(callId) + 1 + varintLength(inner) + inner);
  const at = writeHead(frame, callId, TAG_CLOSE, inner);
  if (response) writeBytes(frame, at, TAG_RESPONSE, response);
  return frame;
}

function writeHead(frame: Buffer, callId: number, tag: number, inner: number): number {
  frame[0] = TAG_CALL_ID;
  const at = writeVarint(frame, 1, callId);
  frame[at] = tag;
  return writeVarint(frame, at + 1, inner);
}

function writeBytes(frame: Buffer, at: number, tag: number, bytes: Buffer): void {
  frame[at] = tag;
  bytes.copy(frame, writeVarint(frame, at + 1, bytes.length));
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
  return decodeCommon(bytes) ?? Frame.decode(bytes);
}

/** The frames that a call is made of, in the order of fields that we write; `undefined` leaves all other forms to ts-proto. */
function decodeCommon(frame: Buffer): Frame | undefined {
  if (frame[0] !== TAG_CALL_ID) return undefined;
  const callId = readVarint(frame, 1);
  let at = 1 + varintLength(callId);
  const tag = frame[at++];
  const inner = readVarint(frame, at);
  at += varintLength(inner);
  if (callId < 0 || callId > MAX_CALL_ID || inner < 0 || at + inner !== frame.length) return undefined;
  const body = decodeBody(frame, tag, at);
  return body && { callId, body };
}

function decodeBody(frame: Buffer, tag: number | undefined, at: number): FrameBody | undefined {
  switch (tag) {
    case TAG_DATA:
      return decodeData(frame, at);
    case TAG_OPEN:
      return decodeOpen(frame, at);
    case TAG_CLOSE:
      return decodeAnswer(frame, at);
    default:
      return undefined;
  }
}

function decodeData(frame: Buffer, at: number): FrameBody | undefined {
  const more = frame[at] === TAG_MORE;
  if (more && frame[at + 1] !== 1) return undefined;
  const bytes = readLastBytes(frame, more ? at + 2 : at, TAG_BYTES);
  return bytes && { $case: 'data', value: { bytes, more } };
}

/** An Open without metadata. */
function decodeOpen(frame: Buffer, at: number): FrameBody | undefined {
  if (frame[at++] !== TAG_METHOD) return undefined;
  const length = readVarint(frame, at);
  if (length < 0) return undefined;
  at += varintLength(length);
  const method = frame.toString('utf8', at, at + length);
  at += length;
  let timeoutMs = 0;
  if (frame[at] === TAG_TIMEOUT_MS) {
    timeoutMs = readVarint(frame, at + 1);
    if (timeoutMs < 0) return undefined;
    at += 1 + varintLength(timeoutMs);
  }
  if (at === frame.length) return { $case: 'open', value: { method, metadata: {}, timeoutMs, request: undefined } };
  const request = readLastBytes(frame, at, TAG_REQUEST);
  return request && { $case: 'open', value: { method, metadata: {}, timeoutMs, request } };
}

/** A Close of a call that went well, with the answer or without. */
function decodeAnswer(frame: Buffer, at: number): FrameBody | undefined {
  const response = at < frame.length ? readLastBytes(frame, at, TAG_RESPONSE) : undefined;
  if (at < frame.length && !response) return undefined;
  return { $case: 'close', value: { code: 0, message: '', statusDetails: NO_BYTES, trailers: {}, response } };
}

/** A view of the field that ends the frame; none where the frame ends before. */
function readLastBytes(frame: Buffer, at: number, tag: number): Buffer | undefined {
  if (at === frame.length) return frame.subarray(at);
  if (frame[at] !== tag) return undefined;
  const length = readVarint(frame, at + 1);
  const start = at + 1 + varintLength(length);
  return length >= 0 && start + length === frame.length ? frame.subarray(start) : undefined;
}

/** Up to 32 bits in their shortest form; -1 for everything else. */
function readVarint(frame: Buffer, at: number): number {
  let value = 0;
  for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
    const byte = frame[at++];
    if (byte === undefined) return -1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return byte === 0 && scale > 1 ? -1 : value;
  }
  return -1;
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
