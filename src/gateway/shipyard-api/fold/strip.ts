/** Python's `str.strip()` for text that passes in pieces: only positions are kept, however long the white space is. */

/** What `str.isspace()` is true for; all of it one UTF-16 unit each. */
const PYTHON_SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const NOT_SPACE = new RegExp(`[^${PYTHON_SPACE}]`);
const SPACE = new RegExp(`[${PYTHON_SPACE}]`);

/** Where the stripped text begins and ends, in UTF-16 units of the whole; equal where nothing is left. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export class StripMeter {
  #length = 0;
  #start = -1;
  #end = 0;

  take(text: string): void {
    if (text === '') return;
    if (this.#start === -1) {
      const first = text.search(NOT_SPACE);
      if (first !== -1) this.#start = this.#length + first;
    }
    if (this.#start !== -1) {
      const last = lastNotSpace(text);
      if (last !== -1) this.#end = this.#length + last + 1;
    }
    this.#length += text.length;
  }

  get length(): number {
    return this.#length;
  }

  get span(): Span {
    return this.#start === -1 ? { start: 0, end: 0 } : { start: this.#start, end: this.#end };
  }
}

function lastNotSpace(text: string): number {
  let at = text.length - 1;
  while (at >= 0 && isSpace(text.charCodeAt(at))) at--;
  return at;
}

function isSpace(unit: number): boolean {
  if (unit < 0x80) return unit === 32 || (unit >= 9 && unit <= 13) || (unit >= 28 && unit <= 31);
  return SPACE.test(String.fromCharCode(unit));
}
