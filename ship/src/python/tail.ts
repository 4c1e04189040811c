/** Keeps the last bytes of a stream. */
export class Tail {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes > 2 * this.#maxBytes) this.#pieces = [this.#cut()];
    this.#bytes = this.#pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** What is kept; it is then forgotten. */
  take(): Buffer {
    const bytes = this.#cut();
    this.#pieces = [];
    this.#bytes = 0;
    return bytes;
  }

  #cut(): Buffer {
    const all = Buffer.concat(this.#pieces);
    return all.subarray(Math.max(0, all.length - this.#maxBytes));
  }
}
