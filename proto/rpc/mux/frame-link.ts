/** What carries a connection's frames, in order and whole: a gRPC stream, or a pair in memory. */
import type { OutgoingFrame } from './frame.js';
import type { StatusError } from '../status-error.js';

export interface FrameLink {
  /** Called once, before anything else. Frames that arrived before are delivered after. */
  start(events: FrameLinkEvents): void;
  /** @returns false when the writer is to wait for `drained` before it goes on; this frame is taken either way */
  write(frame: OutgoingFrame): boolean;
  /** Ends the own direction after everything that was written. */
  end(): void;
  /** Ends both directions at once; an accepting side tells the peer why. */
  destroy(reason: StatusError): void;
}

export interface FrameLinkEvents {
  readonly received: (frame: Buffer) => void;
  readonly drained: () => void;
  /** Once, when nothing can arrive any more; `undefined` where the peer ended its direction in good order. */
  readonly closed: (error: StatusError | undefined) => void;
}
