/** How long a line may wait for others. */
const WAIT_MS = 20;
const MAX_CHARS = 16 * 1024;

/**
 * Lines on their way to a stream. Most are written at once, behind all that were there before; those of `later` wait a
 * moment for others, since a system call for each costs a busy program more than all else about them.
 */
export class GatheredLines {
  readonly #stream: { write(text: string): unknown };
  #text = '';
  #mayWait = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: { write(text: string): unknown }) {
    this.#stream = stream;
  }

  write(line: string): void {
    this.#text += line;
    if (!this.#mayWait || this.#text.length >= MAX_CHARS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), WAIT_MS);
  }

  /** @param write what writes the lines that may wait: 20 ms, and no longer than the next line that may not */
  later(write: () => void): void {
    this.#mayWait = true;
    try {
      write();
    } finally {
      this.#mayWait = false;
    }
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
