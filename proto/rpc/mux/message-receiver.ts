/**
 * One direction of a call, as its receiver sees it: pieces become messages, messages wait for the consumer, and the
 * sender is granted what the consumer took. A message longer than the credit could never arrive whole if only whole
 * messages were granted for, so a consumer that waits takes the pieces of the next message as they come.
 */
import { INITIAL_CREDIT_BYTES, MAX_DATA_BYTES, MAX_MESSAGE_BYTES } from './frame.js';
import type { LongMessages } from './long-messages.js';
import { StatusError } from '../status-error.js';

/** Credit goes back in grants of at least this much, so that small messages do not each cost a frame. */
const GRANT_BYTES = INITIAL_CREDIT_BYTES / 4;
/** Messages that may wait; only a peer that sends messages of no bytes, which need no credit, ever has so many. */
const MAX_WAITING_MESSAGES = INITIAL_CREDIT_BYTES;

/** Pieces of one message: ours have 64 KiB, and nobody needs to send less than 1 KiB at a time. */
const MAX_PIECES = MAX_MESSAGE_BYTES / 1024;

interface Waiting {
  readonly message: Buffer;
  /** Bytes that the sender has not been granted again. */
  readonly owedBytes: number;
}

interface Consumer {
  readonly resolve: (message: Buffer | undefined) => void;
  readonly reject: (reason: StatusError) => void;
}

export class MessageReceiver {
  readonly #longMessages: LongMessages;
  readonly #grant: (bytes: number) => void;
  #windowBytes = INITIAL_CREDIT_BYTES;
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  #piecesOwedBytes = 0;
  #owedBytes = 0;
  #waiting: Waiting[] = [];
  #taken = 0;
  #consumer: Consumer | undefined;
  #end: { readonly reason: StatusError | undefined } | undefined;

  /** @param grant sends a Credit frame */
  constructor(longMessages: LongMessages, grant: (bytes: number) => void) {
    this.#longMessages = longMessages;
    this.#grant = grant;
  }

  /**
   * A Data frame.
   * @returns what the call is to end with, where the message is too long
   * @throws StatusError where the peer broke the rules, and the connection is to be closed
   */
  receive(piece: Buffer, more: boolean): StatusError | undefined {
    this.#windowBytes -= piece.length;
    if (this.#windowBytes < 0 || piece.length > MAX_DATA_BYTES) {
      throw new StatusError('TOO_LARGE', 'the peer sent more than it was granted');
    }
    if (this.#end) return undefined;
    const sizeBytes = this.#piecesBytes + piece.length;
    if (sizeBytes > MAX_MESSAGE_BYTES) {
      return new StatusError('TOO_LARGE', `a message is larger than ${MAX_MESSAGE_BYTES} bytes`, {
        details: { max_bytes: MAX_MESSAGE_BYTES },
      });
    }
    if (more) {
      if (piece.length === 0) return undefined;
      if (this.#pieces.length >= MAX_PIECES) return new StatusError('TOO_LARGE', 'a message is in too many pieces');
      this.#pieces.push(piece);
      this.#piecesBytes = sizeBytes;
      this.#piecesOwedBytes += piece.length;
      if (this.#consumer) this.#takePieces();
      return undefined;
    }
    const owedBytes = this.#piecesOwedBytes + piece.length;
    const message = this.#pieces.length === 0 ? piece : this.#gather(piece, sizeBytes);
    const consumer = this.#consumer;
    if (consumer) {
      this.#consumer = undefined;
      this.#owe(owedBytes);
      consumer.resolve(message);
      return undefined;
    }
    this.#waiting.push({ message, owedBytes });
    if (this.#waiting.length - this.#taken > MAX_WAITING_MESSAGES) {
      throw new StatusError('TOO_MANY_CALLS', 'the peer sent more empty messages than can wait');
    }
    return undefined;
  }

  /** A whole message that came with another frame, free of credit. */
  receiveInline(message: Buffer): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer) consumer.resolve(message);
    else if (!this.#end) this.#waiting.push({ message, owedBytes: 0 });
  }

  /** The next message, or `undefined` after the last. Rejects where the direction ended with a failure. */
  next(): Promise<Buffer | undefined> {
    const waiting = this.#shift();
    if (waiting) {
      this.#owe(waiting.owedBytes);
      return Promise.resolve(waiting.message);
    }
    if (this.#end) return this.#end.reason ? Promise.reject(this.#end.reason) : Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.consume({ resolve, reject });
    });
  }

  /** As next(), by callbacks, for the path of a single message. Only where nothing waits. */
  consume(consumer: Consumer): void {
    if (this.#consumer) throw new Error('next() was called before the last one was answered');
    this.#consumer = consumer;
    this.#takePieces();
  }

  /**
   * No more will come. With a reason, what still waits is given up only where `discard` says so: what arrived before a
   * failure of the peer is still to be read, what was cancelled is not.
   */
  end(reason: StatusError | undefined, discard = false): void {
    if (this.#end) return;
    this.#end = { reason };
    this.#pieces = [];
    this.#longMessages.done(this);
    if (discard) this.#waiting = [];
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (!consumer) return;
    if (reason) consumer.reject(reason);
    else consumer.resolve(undefined);
  }

  #shift(): Waiting | undefined {
    const waiting = this.#waiting[this.#taken];
    if (!waiting) return undefined;
    this.#taken++;
    if (this.#taken === this.#waiting.length || this.#taken >= 1024) {
      this.#waiting = this.#waiting.slice(this.#taken);
      this.#taken = 0;
    }
    return waiting;
  }

  /** The turn to gather a long message has come. */
  granted(): void {
    this.#takePieces();
  }

  #gather(last: Buffer, sizeBytes: number): Buffer {
    const message = Buffer.concat([...this.#pieces, last], sizeBytes);
    this.#pieces = [];
    this.#piecesBytes = 0;
    this.#piecesOwedBytes = 0;
    this.#longMessages.done(this);
    return message;
  }

  #takePieces(): void {
    if (this.#piecesOwedBytes === 0 || !this.#longMessages.request(this)) return;
    const bytes = this.#piecesOwedBytes;
    this.#piecesOwedBytes = 0;
    this.#owe(bytes);
  }

  #owe(bytes: number): void {
    this.#owedBytes += bytes;
    if (this.#owedBytes < GRANT_BYTES || this.#end) return;
    this.#windowBytes += this.#owedBytes;
    this.#grant(this.#owedBytes);
    this.#owedBytes = 0;
  }
}
