/**
 * JSON as Python's `json` module reads it and as Starlette writes it. The documented routes promise its words and
 * offsets for broken JSON, and echo numbers as Python prints them (`60.0` stays `60.0`).
 *
 * Only refused bodies come here: what JSON.parse accepts and the validation accepts never needs to be exact.
 */

/** A number with a fraction or an exponent, or NaN and the infinities, which Python's JSON knows. */
export class PythonFloat {
  constructor(readonly value: number) {}
}

/** Integers are bigint, other numbers PythonFloat, objects Map: integer-like keys keep their place. */
export type PythonJson = null | boolean | string | bigint | PythonFloat | PythonJson[] | Map<string, PythonJson>;

/** Python's JSONDecodeError: what it says, and where, counted in code points. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message);
  }
}

/** Beyond what Python takes, though the grammar is kept: nested too deeply, or an integer of too many digits. */
export class JsonLimitError extends Error {
  override readonly name = 'JsonLimitError';
}

/** About where Python 3.11 gives up inside a server's own stack. */
const MAX_DEPTH = 900;
/** Python's own limit for turning text into an integer. */
const MAX_INTEGER_DIGITS = 4300;

/** @throws JsonSyntaxError, JsonLimitError */
export function parsePythonJson(text: string): PythonJson {
  return new Parser(text).parse();
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const HEX4 = /[0-9a-fA-F]{4}/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
const CONSTANTS: ReadonlyArray<readonly [string, PythonJson]> = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', new PythonFloat(NaN)],
  ['Infinity', new PythonFloat(Infinity)],
  ['-Infinity', new PythonFloat(-Infinity)],
];

class Parser {
  #at = 0;

  constructor(private readonly text: string) {}

  parse(): PythonJson {
    this.#skipSpace();
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at !== this.text.length) this.#fail('Extra data', this.#at);
    return value;
  }

  #value(depth: number): PythonJson {
    if (depth > MAX_DEPTH) throw new JsonLimitError('nested too deeply');
    const char = this.text[this.#at];
    if (char === '"') return this.#string();
    if (char === '{') return this.#object(depth);
    if (char === '[') return this.#array(depth);
    for (const [word, value] of CONSTANTS) {
      if (this.text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#number();
  }

  #object(depth: number): PythonJson {
    const object = new Map<string, PythonJson>();
    this.#at++;
    this.#skipSpace();
    if (this.#take('}')) return object;
    for (;;) {
      if (this.text[this.#at] !== '"') this.#fail('Expecting property name enclosed in double quotes', this.#at);
      const key = this.#string();
      this.#skipSpace();
      if (!this.#take(':')) this.#fail("Expecting ':' delimiter", this.#at);
      this.#skipSpace();
      object.set(key, this.#value(depth + 1));
      this.#skipSpace();
      if (this.#take('}')) return object;
      if (!this.#take(',')) this.#fail("Expecting ',' delimiter", this.#at);
      this.#skipSpace();
    }
  }

  #array(depth: number): PythonJson {
    const array: PythonJson[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#take(']')) return array;
    for (;;) {
      array.push(this.#value(depth + 1));
      this.#skipSpace();
      if (this.#take(']')) return array;
      if (!this.#take(',')) this.#fail("Expecting ',' delimiter", this.#at);
      this.#skipSpace();
    }
  }

  #number(): PythonJson {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.text);
    if (!match) this.#fail('Expecting value', this.#at);
    this.#at += match[0].length;
    const isInteger = match[1] === undefined && match[2] === undefined;
    if (!isInteger) return new PythonFloat(Number(match[0]));
    if (match[0].length > MAX_INTEGER_DIGITS) throw new JsonLimitError('integer of too many digits');
    return BigInt(match[0]);
  }

  #string(): string {
    const begin = this.#at;
    let value = '';
    this.#at++;
    for (;;) {
      value += this.#match(PLAIN);
      const char = this.text[this.#at];
      if (char === undefined) this.#fail('Unterminated string starting at', begin);
      if (char === '"') break;
      if (char !== '\\') this.#fail('Invalid control character at', this.#at);
      value += this.#escape(begin);
    }
    this.#at++;
    return value;
  }

  #escape(begin: number): string {
    const letter = this.text[this.#at + 1];
    if (letter === undefined) this.#fail('Unterminated string starting at', begin);
    if (letter !== 'u') {
      const char = ESCAPES[letter];
      if (char === undefined) this.#fail('Invalid \\escape', this.#at);
      this.#at += 2;
      return char;
    }
    HEX4.lastIndex = this.#at + 2;
    // Python wants one more character behind the four digits, the closing quote at least.
    if (this.#at + 6 >= this.text.length || !HEX4.test(this.text)) {
      this.#fail('Invalid \\uXXXX escape', this.#at + 1);
    }
    const unit = Number.parseInt(this.text.slice(this.#at + 2, this.#at + 6), 16);
    this.#at += 6;
    return String.fromCharCode(unit);
  }

  #skipSpace(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const matched = pattern.exec(this.text)?.[0] ?? '';
    this.#at += matched.length;
    return matched;
  }

  #take(char: string): boolean {
    if (this.text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #fail(message: string, at: number): never {
    throw new JsonSyntaxError(message, codePoints(this.text, at));
  }
}

function codePoints(text: string, units: number): number {
  let count = 0;
  for (let at = 0; at < units; count++) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return count;
}

/** Compact JSON with Python's numbers. NaN and the infinities, which JSON does not have, become null. */
export function stringifyPythonJson(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof PythonFloat) return Number.isFinite(value.value) ? pythonFloatText(value.value) : 'null';
  if (Array.isArray(value)) return `[${value.map(stringifyPythonJson).join(',')}]`;
  if (value instanceof Map) return objectText([...value]);
  if (typeof value === 'object' && value !== null) return objectText(Object.entries(value));
  return JSON.stringify(value);
}

function objectText(entries: ReadonlyArray<readonly [string, unknown]>): string {
  const members = entries
    .filter(([, member]) => member !== undefined)
    .map(([key, member]) => `${JSON.stringify(key)}:${stringifyPythonJson(member)}`);
  return `{${members.join(',')}}`;
}

/** Python's repr: the same shortest digits as JavaScript, exponents from 1e16 and below 1e-4, of two digits at least. */
function pythonFloatText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const exponent = Number(value.toExponential().split('e')[1]);
  if (exponent >= -4 && exponent < 16) {
    const text = exponent < 0 ? fixedText(value) : String(value);
    return text.includes('.') ? text : `${text}.0`;
  }
  const [digits, power] = value.toExponential().split('e') as [string, string];
  return `${digits}e${power[0]}${power.slice(1).padStart(2, '0')}`;
}

function fixedText(value: number): string {
  const digits = value.toExponential().split('e')[0]?.replace(/[-.]/g, '') ?? '';
  const exponent = Number(value.toExponential().split('e')[1]);
  return `${value < 0 ? '-' : ''}0.${'0'.repeat(-exponent - 1)}${digits}`;
}
