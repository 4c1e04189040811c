/**
 * What of an execution's events the documented answers are made of: text, in order, and PNG images. It keeps only what
 * it needs to follow a large display over several events, never output.
 *
 * For cells: what `display_data` shows as PNG loses its text, a result keeps both; other images and HTML are left out.
 */
import type {
  BlobPart,
  CellError,
  Chunk,
  Display,
  MimeItem,
} from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import type { EventBody } from './events.js';

/** `error`: the traceback that ended a cell, as the kernel coloured it. */
export type OutputSource = 'stdout' | 'stderr' | 'display' | 'error';

export interface OutputSink {
  /** Bytes where the output is not UTF-8. */
  text(source: OutputSource, content: string | Uint8Array): void;
  /** A piece of the image of this number, from 0: bytes, or base64 where the kernel gave that. */
  image(index: number, content: string | Uint8Array): void;
  /** Something that was there is no longer in the log. */
  lost(): void;
}

const PNG = 'image/png';
const PLAIN = 'text/plain';
/** The name under which a large traceback follows in parts. */
const TRACEBACK = 'traceback';

export class OutputReader {
  #images = 0;
  /** Which large parts of the last event are wanted, and whose text they are. */
  #wanted: ReadonlyMap<string, OutputSource | 'image'> = NOTHING;
  #decoder: InstanceType<typeof TextDecoder> | undefined;

  constructor(private readonly sink: OutputSink) {}

  take(event: EventBody): void {
    switch (event.$case) {
      case 'stdout':
      case 'stderr':
        return this.#chunk(event.$case, event.value);
      case 'display':
        return this.#display(event.value, false);
      case 'result':
        return this.#display(event.value, true);
      case 'error':
        return this.#error(event.value);
      case 'updateDisplay':
      case 'commOpen':
      case 'commMsg':
      case 'commClose':
        this.#wanted = NOTHING; // parts that follow are theirs
        return;
      case 'blobPart':
        return this.#part(event.value);
      case 'truncated':
        return this.sink.lost();
      default:
        return;
    }
  }

  #chunk(source: OutputSource, chunk: Chunk): void {
    if (chunk.content !== undefined) this.sink.text(source, chunk.content.value);
  }

  #display(display: Display, isResult: boolean): void {
    const png = display.items.find((item) => item.mimeType === PNG);
    const plain = display.items.find((item) => item.mimeType === PLAIN);
    const wanted = new Map<string, OutputSource | 'image'>();
    if (png) {
      wanted.set(PNG, 'image');
      this.#images++;
      this.#item(png, (content) => this.sink.image(this.#images - 1, content));
    }
    if (plain && (isResult || !png)) {
      wanted.set(PLAIN, 'display');
      this.#item(plain, (content) => this.sink.text('display', asText(content)));
    }
    this.#expect(wanted);
  }

  #error(error: CellError): void {
    const isLarge = error.largeFields.some((field) => field.mimeType === TRACEBACK);
    this.#expect(isLarge ? new Map([[TRACEBACK, 'error']]) : NOTHING);
    if (isLarge) return;
    const text = error.traceback.length > 0 ? error.traceback.join('\n') : `${error.name}: ${error.value}`;
    this.sink.text('error', text);
  }

  #expect(wanted: ReadonlyMap<string, OutputSource | 'image'>): void {
    this.#wanted = wanted;
    this.#decoder = undefined;
  }

  #item(item: MimeItem, take: (content: string | Uint8Array) => void): void {
    if (item.content?.$case === 'text' || item.content?.$case === 'data') take(item.content.value);
  }

  #part(part: BlobPart): void {
    const source = this.#wanted.get(part.mimeType);
    if (source === 'image') this.sink.image(this.#images - 1, part.data);
    else if (source !== undefined) {
      this.#decoder ??= new TextDecoder(); // parts may split a character
      this.sink.text(source, this.#decoder.decode(part.data, { stream: true }));
    }
  }
}

const NOTHING: ReadonlyMap<string, OutputSource | 'image'> = new Map();

function asText(content: string | Uint8Array): string {
  return typeof content === 'string' ? content : textOf(content);
}

/** Bytes as text, U+FFFD where they are none. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
