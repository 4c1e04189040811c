import { checkGreeting, GREETING_BYTES, isReady, readHeader, type FrameHeader } from './frame.js';

/** Of a message. A display may be large; a longer message is read, and not kept. */
const MAX_MESSAGE_BYTES = 128 * 1024 * 1024;
/** Of a message. Jupyter's have six, and one for each buffer of a widget. */
const MAX_FRAMES = 4096;
/** Of a command: READY with its properties. */
const MAX_COMMAND_BYTES = 64 * 1024;
/** Of a frame. For a longer one there is memory when this much of it has come, whatever its header claims. */
const TRUSTED_BYTES = 1024 * 1024;
/** Below, reading into the frame's own memory brings nothing. */
const MIN_ROOM_BYTES = 16 * 1024;

const NOTHING = Buffer.alloc(0);

export interface MessageReaderEvents {
  /** The peer has said what it is, and takes messages. */
  ready(): void;
  /** @param frames are nobody else's */
  message(frames: readonly Buffer[]): void;
  /** A message was too much, and is lost. */
  dropped(reason: Error): void;
}

/** Cuts what arrives on a connection into messages. */
export class MessageReader {
  #isGreeted = false;
  #isReady = false;
  /** Of a greeting or a header of which the rest is still to come. */
  #head: Buffer = NOTHING;

  #header: FrameHeader | undefined;
  /** What came of the frame behind the header, in memory that may be longer. */
  #frame: Buffer = NOTHING;
  #filled = 0;

  #frames: Buffer[] = [];
  #bytes = 0;
  #isDropped = false;

  constructor(private readonly events: MessageReaderEvents) {}

  /** Memory of a large frame, into which the next bytes may be read; filled() tells then how many. */
  room(): Buffer | undefined {
    const missing = this.#missing;
    if (missing < MIN_ROOM_BYTES || this.#isDropped) return undefined;
    this.#makeRoom(MIN_ROOM_BYTES);
    return this.#frame.subarray(this.#filled);
  }

  filled(bytes: number): void {
    this.#filled += bytes;
    if (this.#missing === 0) this.#endFrame();
  }

  /** @param chunk may be used again afterwards @throws Error where the peer does not speak ZMTP 3 */
  push(chunk: Buffer): void {
    const bytes = this.#head.length > 0 ? Buffer.concat([this.#head, chunk]) : chunk;
    this.#head = NOTHING;
    const end = this.#read(bytes);
    if (end < bytes.length) this.#head = Buffer.from(bytes.subarray(end));
  }

  /** How far it came. */
  #read(bytes: Buffer): number {
    let at = 0;
    if (!this.#isGreeted) {
      if (bytes.length < GREETING_BYTES) return 0;
      checkGreeting(bytes);
      this.#isGreeted = true;
      at = GREETING_BYTES;
    }
    while (at < bytes.length) {
      if (this.#header) {
        at += this.#take(bytes, at);
      } else {
        this.#header = readHeader(bytes, at);
        if (!this.#header) return at;
        at += this.#header.bytes;
        this.#beginFrame(this.#header);
      }
    }
    return at;
  }

  get #missing(): number {
    return this.#header ? this.#header.length - this.#filled : 0;
  }

  #beginFrame({ length, isCommand }: FrameHeader): void {
    if (isCommand) this.#checkCommand(length);
    else this.#bytes += length;
    if (this.#bytes > MAX_MESSAGE_BYTES || this.#frames.length === MAX_FRAMES) {
      this.#isDropped = true;
      this.#frames = [];
    }
    this.#filled = 0;
    this.#frame = NOTHING;
    if (length === 0) this.#endFrame();
  }

  /** Of this version of ZMTP there is one, READY, at the beginning. */
  #checkCommand(length: number): void {
    if (this.#isReady) throw new Error('the peer sends a second command');
    if (length > MAX_COMMAND_BYTES) throw new Error(`the peer sends a command of ${length} bytes`);
  }

  #take(bytes: Buffer, at: number): number {
    const count = Math.min(this.#missing, bytes.length - at);
    if (!this.#isDropped) {
      this.#makeRoom(count);
      bytes.copy(this.#frame, this.#filled, at, at + count);
    }
    this.filled(count);
    return count;
  }

  /** For so many more bytes of the frame at least. */
  #makeRoom(bytes: number): void {
    const needed = this.#filled + bytes;
    if (this.#frame.length >= needed) return;
    const { length } = this.#header!;
    const frame = Buffer.allocUnsafe(needed > TRUSTED_BYTES ? length : Math.min(length, TRUSTED_BYTES));
    this.#frame.copy(frame, 0, 0, this.#filled);
    this.#frame = frame;
  }

  #endFrame(): void {
    const { isCommand, hasMore } = this.#header!;
    const frame = this.#frame;
    this.#header = undefined;
    this.#frame = NOTHING;
    if (isCommand) {
      if (!isReady(frame)) throw new Error('the peer does not say READY');
      this.#isReady = true;
      this.events.ready();
      return;
    }
    if (!this.#isDropped) this.#frames.push(frame);
    if (!hasMore) this.#endMessage();
  }

  #endMessage(): void {
    const [frames, isDropped] = [this.#frames, this.#isDropped];
    this.#frames = [];
    this.#bytes = 0;
    this.#isDropped = false;
    if (!isDropped) this.events.message(frames);
    else this.events.dropped(new Error(`a message of more than ${MAX_MESSAGE_BYTES} bytes or ${MAX_FRAMES} frames`));
  }
}
