/** One direction of a call, as its sender sees it: at most one message waits, and never more is sent than was granted. */
import { encodeData, INITIAL_CREDIT_BYTES, MAX_DATA_BYTES, type OutgoingFrame } from './frame.js';
import type { Outbox } from './outbox.js';
import type { StatusError } from '../status-error.js';

interface Pending {
  readonly message: Buffer;
  offset: number;
  readonly resolve: () => void;
  readonly reject: (reason: StatusError) => void;
}

export class MessageSender {
  readonly #callId: number;
  readonly #outbox: Outbox;
  #credit = INITIAL_CREDIT_BYTES;
  #pending: Pending | undefined;
  /** A message whose last piece the outbox holds. */
  #sent: Pending | undefined;
  #closed: StatusError | undefined;

  constructor(callId: number, outbox: Outbox) {
    this.#callId = callId;
    this.#outbox = outbox;
  }

  /**
   * Sends a message; not to be called again before the last one has gone.
   * @returns `undefined` where it went at once, else a promise for the moment when its last piece has gone
   */
  send(message: Buffer): Promise<void> | undefined {
    if (this.#closed) return Promise.reject(this.#closed);
    if (message.length <= MAX_DATA_BYTES && message.length <= this.#credit && this.#credit > 0 && this.#outbox.isIdle) {
      this.#credit -= message.length;
      this.#outbox.data(this.#callId, message);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#pending = { message, offset: 0, resolve, reject };
      if (this.isReady) this.#outbox.ready(this);
    });
  }

  /** Whether the outbox can have a frame. An empty message needs credit too, though it uses none. */
  get isReady(): boolean {
    return this.#pending !== undefined && this.#credit > 0;
  }

  /** Only while ready. The outbox calls sent() when the frame is with the link. */
  nextFrame(): OutgoingFrame {
    const pending = this.#pending as Pending;
    const { message, offset } = pending;
    const end = Math.min(message.length, offset + Math.min(MAX_DATA_BYTES, this.#credit));
    this.#credit -= end - offset;
    pending.offset = end;
    const more = end < message.length;
    if (!more) {
      this.#pending = undefined;
      this.#sent = pending;
    }
    return encodeData(this.#callId, message, offset, end, more);
  }

  /** The frame is with the link. */
  sent(): void {
    const whole = this.#sent;
    this.#sent = undefined;
    whole?.resolve();
  }

  grant(bytes: number): void {
    const waiting = this.#pending !== undefined && this.#credit === 0;
    this.#credit += bytes;
    if (waiting && this.isReady) this.#outbox.ready(this);
  }

  /** The call is over: a waiting message is dropped, and its send() rejects. */
  close(reason: StatusError): void {
    if (this.#closed) return;
    this.#closed = reason;
    const pending = this.#pending;
    if (!pending) return;
    this.#outbox.forget(this);
    this.#pending = undefined;
    pending.reject(reason);
  }
}
