/** How long a line may wait for others. */
const WAIT_MS = 20;
const MAX_CHARS = 16 * 1024;

/**
 * Lines on their way to a stream. Most are written at once, behind all that were there before; others are gathered for a
 * moment, since a system call for each is a good part of what they cost a busy program.
 */
export class GatheredLines {
  readonly #stream: { write(text: string): unknown };
  #text = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: { write(text: string): unknown }) {
    this.#stream = stream;
  }

  write(line: string): void {
    this.#text += line;
    this.flush();
  }

  /** Writes it within 20 ms, and no later than the next line that does not wait. */
  gather(line: string): void {
    this.#text += line;
    if (this.#text.length >= MAX_CHARS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), WAIT_MS);
  }

  /** Writes what waits, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#stream.write(text);
  }
}
