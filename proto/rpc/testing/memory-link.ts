/** Two ends of a frame link in memory. Frames are delivered in later turns, as from a socket. */
import { toBuffer, type OutgoingFrame } from '../mux/frame.js';
import type { FrameLink, FrameLinkEvents } from '../mux/frame-link.js';
import type { StatusError } from '../status-error.js';

export class MemoryLink implements FrameLink {
  peer!: MemoryLink;
  /** Frames that may wait before write() says false. */
  highWater = 16;
  /** While set, nothing is delivered to this end. */
  paused = false;
  ended = false;
  destroyed: StatusError | undefined;
  #events: FrameLinkEvents | undefined;
  #arrived: Buffer[] = [];
  #arrivedEnd = false;
  #closed = false;
  #needsDrain = false;
  #scheduled = false;

  start(events: FrameLinkEvents): void {
    this.#events = events;
    this.#schedule();
  }

  write(frame: OutgoingFrame): boolean {
    if (this.ended) throw new Error('written after the end');
    this.peer.#arrived.push(toBuffer(frame));
    this.peer.#schedule();
    if (this.peer.#arrived.length < this.highWater) return true;
    this.#needsDrain = true;
    return false;
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.peer.#arrivedEnd = true;
    this.peer.#schedule();
  }

  destroy(reason: StatusError): void {
    this.destroyed = reason;
    this.end();
  }

  resume(): void {
    this.paused = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    if (!this.#events || this.#closed || this.paused) return;
    const frames = this.#arrived;
    this.#arrived = [];
    for (const frame of frames) this.#events.received(frame);
    if (this.peer.#needsDrain) {
      this.peer.#needsDrain = false;
      this.peer.#events?.drained();
    }
    if (this.#arrivedEnd && this.#arrived.length === 0) {
      this.#closed = true;
      this.#events.closed(undefined);
    }
  }
}

export function memoryLinks(): [MemoryLink, MemoryLink] {
  const [one, other] = [new MemoryLink(), new MemoryLink()];
  one.peer = other;
  other.peer = one;
  return [one, other];
}
