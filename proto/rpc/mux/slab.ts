import type { FrameReader } from './frame-reader.js';

/** Four large Data frames. */
const SLAB_BYTES = 256 * 1024;
/** With less room than this left, a read would be cut short. */
const MIN_ROOM_BYTES = 64 * 1024;

/**
 * Memory that a socket reads into, piece behind piece: a frame that came in several reads lies there in one. Where only small
 * frames come, which the reader copies, its beginning is used again and again.
 */
export class Slab {
  #bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #used = 0;
  /** What may be looked at for as long as somebody likes. */
  #kept = 0;
  #views = 0;

  /** Where the next read may put its bytes. */
  room(): Buffer {
    if (SLAB_BYTES - this.#used < MIN_ROOM_BYTES) {
      this.#bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = this.#kept = 0;
    }
    return this.#bytes.subarray(this.#used);
  }

  /** The bytes that a read has put there. */
  taken(length: number): Buffer {
    const start = this.#used;
    this.#used += length;
    return this.#bytes.subarray(start, this.#used);
  }

  /** The reader has cut up what was taken: memory that no frame looks at is used again. */
  settle(reader: FrameReader): void {
    if (reader.views > this.#views) this.#kept = this.#used;
    else if (reader.isEmpty) this.#used = this.#kept;
    this.#views = reader.views;
  }
}
