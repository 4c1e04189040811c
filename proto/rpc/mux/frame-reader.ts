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

/** Cuts what arrives into frames, which are views of what was pushed wherever they arrived in one piece. */
export class FrameReader {
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Bytes without which there is no next frame. */
  #neededBytes = LENGTH_BYTES;

  constructor(private readonly maxBytes = MAX_FRAME_BYTES) {}

  push(chunk: Buffer): void {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
  }

  /** The next whole frame, if there is one. @throws StatusError TOO_LARGE */
  next(): Buffer | undefined {
    if (this.#waitingBytes < this.#neededBytes) return undefined;
    const bytes = this.#gathered();
    const length = bytes.readUInt32LE(0);
    if (length > this.maxBytes)
      throw new StatusError('TOO_LARGE', `a frame of ${length} bytes, of ${this.maxBytes} that are taken here`);
    const end = LENGTH_BYTES + length;
    if (bytes.length < end) {
      this.#neededBytes = end;
      return undefined;
    }
    this.#neededBytes = LENGTH_BYTES;
    this.#waitingBytes = bytes.length - end;
    this.#waiting = this.#waitingBytes > 0 ? [bytes.subarray(end)] : [];
    return bytes.subarray(LENGTH_BYTES, end);
  }

  /** What is behind the frames that were taken; they are not read any more. */
  rest(): Buffer {
    return Buffer.concat(this.#waiting, this.#waitingBytes);
  }

  #gathered(): Buffer {
    const first = this.#waiting[0];
    if (first && this.#waiting.length === 1) return first;
    const bytes = Buffer.concat(this.#waiting, this.#waitingBytes);
    this.#waiting = [bytes];
    return bytes;
  }
}
