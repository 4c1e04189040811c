/**
 * The output of one execution while its end is awaited: kept in memory while it is small; beyond that only measured,
 * so that it can be read again from the log and written out in pieces.
 */
import type { EventBody } from './events.js';
import { OutputReader, textOf, type OutputSink, type OutputSource } from './output-reader.js';
import { StripMeter, type Span } from './strip.js';

/** What one execution may hold in Bay's memory; most answers are far below. */
export const KEPT_OUTPUT_BYTES = 256 * 1024;

/** What a chunk costs beside its content; many tiny ones are many bytes too. */
const CHUNK_OVERHEAD_BYTES = 64;

/** A text of the answer: the output of the named sources in order, as a whole. */
export interface TextKey {
  readonly sources: readonly OutputSource[];
  /** Whether it is given without the white space around it. */
  readonly strip: boolean;
}

/** What is kept of one text of the answer. */
interface CapturedText {
  readonly meter: StripMeter;
  kept: string[];
}

export class CapturedOutput implements OutputSink {
  readonly #reader = new OutputReader(this);
  readonly #texts: CapturedText[];
  readonly #keys: readonly TextKey[];
  /** Raw chunks by source, kept only while everything is, for a source that turns out not to be UTF-8. */
  #chunks: Array<readonly [OutputSource, string | Uint8Array]> = [];
  #images: Array<Array<string | Uint8Array>> = [];
  #keptBytes = 0;
  #imageCount = 0;
  /** Sources that held bytes which are not UTF-8. */
  readonly binarySources = new Set<OutputSource>();
  /** Whether it has to be read again from the log. */
  spilled = false;
  /** Whether the log itself lost a part. */
  truncated = false;

  constructor(keys: readonly TextKey[]) {
    this.#keys = keys;
    this.#texts = keys.map(() => ({ meter: new StripMeter(), kept: [] }));
  }

  take(event: EventBody): void {
    this.#reader.take(event);
  }

  text(source: OutputSource, content: string | Uint8Array): void {
    const text = typeof content === 'string' ? content : textOf(content);
    if (typeof content !== 'string') this.binarySources.add(source);
    this.#keep(content.length);
    if (!this.spilled) this.#chunks.push([source, content]);
    for (let index = 0; index < this.#keys.length; index++) {
      if (!this.#keys[index]?.sources.includes(source)) continue;
      const captured = this.#texts[index] as CapturedText;
      captured.meter.take(text);
      if (!this.spilled) captured.kept.push(text);
    }
  }

  image(index: number, content: string | Uint8Array): void {
    this.#imageCount = index + 1;
    this.#keep(content.length);
    if (!this.spilled) (this.#images[index] ??= []).push(content);
  }

  lost(): void {
    this.truncated = true;
  }

  get imageCount(): number {
    return this.#imageCount;
  }

  span(key: number): Span {
    const { meter } = this.#texts[key] as CapturedText;
    return this.#keys[key]?.strip ? meter.span : { start: 0, end: meter.length };
  }

  /** The text. Only while not `spilled`, as the two below. */
  textOf(key: number): string {
    const { start, end } = this.span(key);
    return (this.#texts[key] as CapturedText).kept.join('').slice(start, end);
  }

  base64Of(source: OutputSource): string {
    const chunks = this.#chunks.filter(([from]) => from === source);
    return Buffer.concat(chunks.map(([, content]) => Buffer.from(content as string))).toString('base64');
  }

  /** Base64, one for each image. */
  imagesOf(): string[] {
    return this.#images.map(imageText);
  }

  #keep(bytes: number): void {
    this.#keptBytes += bytes + CHUNK_OVERHEAD_BYTES;
    if (this.spilled || this.#keptBytes <= KEPT_OUTPUT_BYTES) return;
    this.spilled = true;
    this.#chunks = [];
    this.#images = [];
    for (const captured of this.#texts) captured.kept = [];
  }
}

/** Pieces of bytes are joined before they become base64, since they end anywhere. */
function imageText(pieces: ReadonlyArray<string | Uint8Array>): string {
  const bytes = pieces.filter((piece) => typeof piece !== 'string');
  return bytes.length === 0 ? pieces.join('') : Buffer.concat(bytes).toString('base64');
}
