/** Frames on a stream of bytes: each behind its length, 4 bytes, little-endian. */
import { StatusError } from '../status-error.js';
import { DataFrame, MAX_FRAME_BYTES, type OutgoingFrame } from './frame.js';

const LENGTH_BYTES = 4;

/** The frame behind its length, in one piece. */
export function withLength(frame: OutgoingFrame): Buffer {
  return behindLength(frame.length, frame);
}

/** The same, but for the bytes of a large Data frame, which go to the system uncopied. */
export function toPieces(frame: OutgoingFrame): readonly Buffer[] {
  return frame instanceof DataFrame ? [behindLength(frame.length, frame.head), frame.bytes] : [withLength(frame)];
}

function behindLength(length: number, beginning: OutgoingFrame): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + beginning.length);
  bytes.writeUInt32LE(length, 0);
  beginning.copy(bytes, LENGTH_BYTES);
  return bytes;
}

/** A smaller frame that lies in more memory than this is copied: held, it would keep all of that. */
const VIEWED_BYTES = 32 * 1024;

/** Cuts what arrives into frames, which are views of what was pushed wherever they lie there in one piece. */
export class FrameReader {
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #views = 0;
  /** Bytes without which there is no next frame. */
  #neededBytes = LENGTH_BYTES;

  constructor(private readonly maxBytes = MAX_FRAME_BYTES) {}

  /** Frames so far that were views; the others were copied. */
  get views(): number {
    return this.#views;
  }

  /** Nothing of a next frame is there. */
  get isEmpty(): boolean {
    return this.#waitingBytes === 0;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    const last = this.#waiting.at(-1);
    if (last && isBehind(chunk, last)) {
      this.#waiting[this.#waiting.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + chunk.length);
    } else {
      this.#waiting.push(chunk);
    }
    this.#waitingBytes += chunk.length;
  }

  /** The next whole frame, if there is one. @throws StatusError TOO_LARGE */
  next(): Buffer | undefined {
    if (this.#waitingBytes < this.#neededBytes) return undefined;
    const length = this.#gathered(LENGTH_BYTES).readUInt32LE(0);
    if (length > this.maxBytes)
      throw new StatusError('TOO_LARGE', `a frame of ${length} bytes, of ${this.maxBytes} that are taken here`);
    const end = LENGTH_BYTES + length;
    if (this.#waitingBytes < end) {
      this.#neededBytes = end;
      return undefined;
    }
    const frame = this.#gathered(end).subarray(LENGTH_BYTES, end);
    this.#neededBytes = LENGTH_BYTES;
    this.#drop(end);
    if (length < VIEWED_BYTES && frame.buffer.byteLength > VIEWED_BYTES) return Buffer.from(frame);
    this.#views++;
    return frame;
  }

  /** What is behind the frames that were taken; they are not read any more. */
  rest(): Buffer {
    return Buffer.concat(this.#waiting, this.#waitingBytes);
  }

  /** What waits, of which so many bytes, which are there, are in its first piece. Only they are copied for that. */
  #gathered(bytes: number): Buffer {
    const first = this.#waiting[0]!;
    if (first.length >= bytes) return first;
    const pieces: Buffer[] = [];
    for (let missing = bytes; missing > 0;) {
      const piece = this.#waiting.shift()!;
      if (piece.length > missing) this.#waiting.unshift(piece.subarray(missing));
      pieces.push(piece.subarray(0, missing));
      missing -= Math.min(missing, piece.length);
    }
    const gathered = Buffer.concat(pieces, bytes);
    this.#waiting.unshift(gathered);
    return gathered;
  }

  #drop(bytes: number): void {
    const first = this.#waiting[0]!;
    if (first.length === bytes) this.#waiting.shift();
    else this.#waiting[0] = first.subarray(bytes);
    this.#waitingBytes -= bytes;
  }
}

function isBehind(chunk: Buffer, last: Buffer): boolean {
  return chunk.buffer === last.buffer && chunk.byteOffset === last.byteOffset + last.length;
}
