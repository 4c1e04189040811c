import { isUtf8 } from 'node:buffer';
import type { Clock, Timer } from './clock.js';

export type OutputStream = 'stdout' | 'stderr' | 'pty';

/** Bytes of output in one event: with its head it fits into one Data frame of the mux. */
export const CHUNK_BYTES = 64 * 1024 - 64;
/** Output that is not held back for more: waiting for a full chunk would copy nearly all of it once more. */
const ENOUGH_BYTES = 48 * 1024;

/** How long output waits for company. */
export const COALESCE_MS = 5;

const NOTHING = Buffer.alloc(0);

/**
 * Gathers raw output into chunks: 48 to 64 KiB, or what came within 5 ms. After a pause the first bytes go out at once, so
 * that one line is never late. A character that is split over reads stays whole, as at most 3 of its bytes wait for the
 * rest.
 *
 * @param emit receives every chunk, in order, and whether it is UTF-8 text; the bytes are the caller's from then on
 */
export class OutputCoalescer {
  readonly #clock: Clock;
  readonly #emit: (stream: OutputStream, bytes: Uint8Array, isText: boolean) => void;
  #stream: OutputStream = 'stdout';
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  /** The beginning of a character, for each stream. */
  readonly #heads: Record<OutputStream, Uint8Array> = { stdout: NOTHING, stderr: NOTHING, pty: NOTHING };
  #lastEmitMs = -Infinity;
  #timer: Timer | undefined;

  constructor(clock: Clock, emit: (stream: OutputStream, bytes: Uint8Array, isText: boolean) => void) {
    this.#clock = clock;
    this.#emit = emit;
  }

  push(stream: OutputStream, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (stream !== this.#stream) {
      this.flush();
      this.#stream = stream;
    }
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes + this.#heads[stream].length >= ENOUGH_BYTES) this.#emitGathered(ENOUGH_BYTES);
    if (this.#bytes === 0) return;

    const waitMs = this.#lastEmitMs + COALESCE_MS - this.#clock.monotonicMs();
    if (waitMs <= 0) this.flush();
    else this.#timer ??= this.#clock.setTimer(waitMs, () => this.flush());
  }

  /** Sends what is gathered; the beginning of a character stays for its rest. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#bytes > 0) this.#emitGathered(1);
  }

  /** Sends everything, also characters that were never finished. Nothing may be pushed afterwards. */
  end(): void {
    this.flush();
    for (const stream of ['stdout', 'stderr', 'pty'] as const) {
      const head = this.#heads[stream];
      this.#heads[stream] = NOTHING;
      if (head.length > 0) this.#emit(stream, head, false);
    }
  }

  /** Emits chunks of at most 64 KiB while at least `atLeast` bytes are there, and keeps the rest. */
  #emitGathered(atLeast: number): void {
    const stream = this.#stream;
    const head = this.#heads[stream];
    if (head.length > 0) this.#pieces.unshift(head);
    const gathered = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#heads[stream] = NOTHING;

    let start = 0;
    while (gathered.length - start >= atLeast) {
      const end = Math.min(gathered.length, start + CHUNK_BYTES);
      const whole = end - unfinishedBytes(gathered, start, end);
      if (whole === start) break; // nothing but the beginning of a character
      const chunk = gathered.subarray(start, whole);
      this.#emit(stream, chunk, isUtf8(chunk));
      this.#lastEmitMs = this.#clock.monotonicMs();
      start = whole;
    }

    const rest = gathered.subarray(start);
    if (rest.length > 0 && rest.length === unfinishedBytes(rest, 0, rest.length)) {
      this.#heads[stream] = Buffer.from(rest); // a copy, so that it does not hold the whole read
      this.#pieces = [];
      this.#bytes = 0;
    } else {
      this.#pieces = rest.length > 0 ? [rest] : [];
      this.#bytes = rest.length;
    }
  }
}

/** Bytes at the end, at most 3, that begin a UTF-8 character whose rest is not there. */
function unfinishedBytes(bytes: Uint8Array, start: number, end: number): number {
  for (let back = 1; back <= 3 && end - back >= start; back++) {
    const byte = bytes[end - back]!;
    if ((byte & 0xc0) === 0x80) continue; // a middle byte: its first is further back
    const length =
      byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}
