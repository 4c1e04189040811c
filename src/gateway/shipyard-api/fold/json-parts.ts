/**
 * JSON put together from parts, some of which are read again from an execution's log while they are written: one pass
 * for each key that holds output, so that Bay's memory does not grow with the output.
 */
import { OutputReader, textOf, type OutputSource } from './output-reader.js';
import type { CapturedOutput, TextKey } from './captured-output.js';
import type { Span } from './strip.js';
import { ExecutionEvent } from '../../../../proto/gen/shipyard/execution/v1/execution.js';

/** Text as it is; text known only when the writing gets there; or pieces as they are read. */
export type JsonPart = string | (() => string) | AsyncIterable<string>;

/** Opens the log of the finished execution from its first event. */
export type OpenLog = () => AsyncIterable<Uint8Array>;

/** @returns the whole text where nothing has to be read, else its pieces */
export function joinParts(parts: readonly JsonPart[]): string | AsyncIterable<string> {
  let text = '';
  for (const part of parts) {
    if (typeof part === 'object') return writeParts(parts);
    text += typeof part === 'string' ? part : part();
  }
  return text;
}

async function* writeParts(parts: readonly JsonPart[]): AsyncGenerator<string> {
  for (const part of parts) {
    if (typeof part === 'object') yield* part;
    else yield typeof part === 'string' ? part : part();
  }
}

/** What the answers of an execution say of its output, from memory or from the log. */
export class OutputParts {
  constructor(
    readonly output: CapturedOutput,
    private readonly keys: readonly TextKey[],
    private readonly openLog: OpenLog,
  ) {}

  isEmpty(key: number): boolean {
    const { start, end } = this.output.span(key);
    return start === end;
  }

  /**
   * A JSON string of the text.
   *
   * @param suffix put behind the text, inside the string
   */
  text(key: number, suffix = ''): JsonPart {
    if (!this.output.spilled) return JSON.stringify(this.output.textOf(key) + suffix);
    if (this.isEmpty(key)) return JSON.stringify(suffix);
    const { sources } = this.keys[key] as TextKey;
    return quoted(this.#textPieces(sources, this.output.span(key)), JSON.stringify(suffix).slice(1, -1));
  }

  /** Extra keys for sources that held bytes which are not UTF-8: their exact bytes, not stripped. Each begins with a comma. */
  base64Keys(): JsonPart[] {
    return [...this.output.binarySources].flatMap((source): JsonPart[] => {
      const key = `,"${source}_base64":`;
      if (!this.output.spilled) return [key, JSON.stringify(this.output.base64Of(source))];
      return [key, quoted(this.#base64Pieces(source), '')];
    });
  }

  /** A JSON array of objects with the one key image/png. */
  images(): JsonPart {
    if (this.output.imageCount === 0) return '[]';
    if (this.output.spilled) return this.#imagePieces();
    return JSON.stringify(this.output.imagesOf().map((image) => ({ 'image/png': image })));
  }

  /** An extra key where the log no longer held everything, known only behind the output. Begins with a comma. */
  truncatedKey(): JsonPart {
    return () => (this.output.truncated ? ',"truncated":true' : '');
  }

  async *#textPieces(sources: readonly OutputSource[], span: Span): AsyncGenerator<string> {
    let position = 0;
    let pending = '';
    const reader = this.#reader((source, content) => {
      if (!sources.includes(source)) return;
      const text = typeof content === 'string' ? content : textOf(content);
      pending += text.slice(Math.max(0, span.start - position), Math.max(0, span.end - position));
      position += text.length;
    });
    for await (const bytes of this.openLog()) {
      takeEncoded(reader, bytes);
      if (pending.length >= PIECE_CHARS) {
        yield JSON.stringify(pending).slice(1, -1);
        pending = '';
      }
      if (position >= span.end) break;
    }
    yield JSON.stringify(pending).slice(1, -1);
  }

  async *#base64Pieces(wanted: OutputSource): AsyncGenerator<string> {
    const encoder = new Base64Encoder();
    let pending = '';
    const reader = this.#reader((source, content) => {
      if (source === wanted) pending += encoder.take(typeof content === 'string' ? Buffer.from(content) : content);
    });
    for await (const bytes of this.openLog()) {
      takeEncoded(reader, bytes);
      if (pending.length < PIECE_CHARS) continue;
      yield pending;
      pending = '';
    }
    yield pending + encoder.end();
  }

  async *#imagePieces(): AsyncGenerator<string> {
    let encoder = new Base64Encoder();
    let open = -1;
    let pending = '[';
    const reader = new OutputReader({
      text: () => undefined,
      lost: () => this.output.lost(),
      image: (index, content) => {
        if (index !== open) {
          pending += `${open === -1 ? '' : `${encoder.end()}"},`}{"image/png":"`;
          encoder = new Base64Encoder();
          open = index;
        }
        pending += typeof content === 'string' ? JSON.stringify(content).slice(1, -1) : encoder.take(content);
      },
    });
    for await (const bytes of this.openLog()) {
      takeEncoded(reader, bytes);
      if (pending.length < PIECE_CHARS) continue;
      yield pending;
      pending = '';
    }
    yield `${pending}${open === -1 ? '' : `${encoder.end()}"}`}]`;
  }

  #reader(text: (source: OutputSource, content: string | Uint8Array) => void): OutputReader {
    return new OutputReader({ text, image: () => undefined, lost: () => this.output.lost() });
  }
}

/** Smaller pieces are gathered: each costs a write. */
const PIECE_CHARS = 16 * 1024;

async function* quoted(pieces: AsyncIterable<string>, suffix: string): AsyncGenerator<string> {
  yield '"';
  yield* pieces;
  yield `${suffix}"`;
}

function takeEncoded(reader: OutputReader, bytes: Uint8Array): void {
  const { event } = ExecutionEvent.decode(bytes);
  if (event !== undefined) reader.take(event);
}

/** Base64 of bytes that come in pieces of any length. */
class Base64Encoder {
  #rest = Buffer.alloc(0);

  take(bytes: Uint8Array): string {
    const all = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    const whole = all.length - (all.length % 3);
    this.#rest = all.subarray(whole);
    return all.toString('base64', 0, whole);
  }

  end(): string {
    return this.#rest.toString('base64');
  }
}
