/**
 * What a connection sends, in its order: control frames first, then one Data frame of each ready call in turn; nothing
 * while the link says to wait. So a call with megabytes to send delays another by at most one frame of 64 KiB.
 */
import { encodeData } from './frame.js';
import type { FrameLink } from './frame-link.js';
import type { MessageSender } from './message-sender.js';

/** Control frames waiting for the link, in bytes. A peer that does not read lets them grow: 1,024 calls need far less. */
const MAX_CONTROL_BYTES = 16 * 1024 * 1024;
/** What a queued frame costs beyond its bytes. */
const FRAME_OVERHEAD_BYTES = 128;

export class Outbox {
  readonly #link: FrameLink;
  readonly #onOverflow: () => void;
  #control: Buffer[] = [];
  #controlBytes = 0;
  readonly #ready: MessageSender[] = [];
  #blocked = false;
  #ending = false;
  #closed = false;

  /** @param onOverflow the peer lets control frames pile up: the connection is to be closed */
  constructor(link: FrameLink, onOverflow: () => void) {
    this.#link = link;
    this.#onOverflow = onOverflow;
  }

  /** Whether a Data frame may be written at once, ahead of nobody. */
  get isIdle(): boolean {
    return !this.#blocked && this.#ready.length === 0 && !this.#ending && !this.#closed;
  }

  control(frame: Buffer): void {
    if (this.#closed || this.#ending) return;
    if (!this.#blocked) {
      this.#blocked = !this.#link.write(frame);
      return;
    }
    this.#control.push(frame);
    this.#controlBytes += frame.length + FRAME_OVERHEAD_BYTES;
    if (this.#controlBytes > MAX_CONTROL_BYTES) this.#onOverflow();
  }

  /** Only while idle. */
  data(callId: number, message: Buffer): void {
    this.#blocked = !this.#link.write(encodeData(callId, message, 0, message.length, false));
  }

  /** The sender has something to send and credit for it. */
  ready(sender: MessageSender): void {
    this.#ready.push(sender);
    this.flush();
  }

  forget(sender: MessageSender): void {
    const index = this.#ready.indexOf(sender);
    if (index >= 0) this.#ready.splice(index, 1);
  }

  drained(): void {
    this.#blocked = false;
    this.flush();
  }

  flush(): void {
    while (!this.#blocked && !this.#closed) {
      if (this.#control.length > 0) {
        this.#flushControl();
        continue;
      }
      const sender = this.#ready.shift();
      if (!sender) {
        if (this.#ending) this.#endLink();
        return;
      }
      const frame = sender.nextFrame();
      this.#blocked = !this.#link.write(frame);
      if (sender.isReady) this.#ready.push(sender);
      sender.sent();
    }
  }

  /** Takes nothing more; what waits is sent, and then the link is ended. */
  end(): void {
    this.#ending = true;
    this.flush();
  }

  close(): void {
    this.#closed = true;
    this.#control = [];
    this.#ready.length = 0;
  }

  #endLink(): void {
    this.#closed = true;
    this.#link.end();
  }

  #flushControl(): void {
    const frames = this.#control;
    let count = 0;
    while (count < frames.length && !this.#blocked) this.#blocked = !this.#link.write(frames[count++] as Buffer);
    this.#control = frames.slice(count);
    this.#controlBytes = this.#control.reduce((sum, frame) => sum + frame.length + FRAME_OVERHEAD_BYTES, 0);
  }
}
