/** A mux connection's frames on a grpc-js bidirectional stream, seen from either side. */
import type { ClientDuplexStream, ServerDuplexStream, ServiceError } from '@grpc/grpc-js';
import { fromServiceError, toServiceError } from '../grpc-common.js';
import { linkLost } from '../link-lost.js';
import type { StatusError } from '../status-error.js';
import type { OutgoingFrame } from './frame.js';
import type { FrameLink, FrameLinkEvents } from './frame-link.js';

/** The side that dialled. */
export class DialledLink implements FrameLink {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  #destroyed = false;

  constructor(call: ClientDuplexStream<Buffer, Buffer>) {
    this.#call = call;
  }

  start({ received, drained, closed }: FrameLinkEvents): void {
    this.#call.on('data', received);
    this.#call.on('drain', drained);
    // grpc-js ends a call with 'status' after everything that arrived, and with 'error' before it where it failed.
    this.#call.on('error', (error: ServiceError) => closed(fromServiceError(error)));
    this.#call.on('status', () => closed(undefined));
  }

  write(frame: OutgoingFrame): boolean {
    return this.#call.write(frame as Buffer);
  }

  end(): void {
    if (!this.#destroyed) this.#call.end();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#call.cancel();
  }
}

/** The side that was dialled. */
export class AcceptedLink implements FrameLink {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  #over = false;

  constructor(call: ServerDuplexStream<Buffer, Buffer>) {
    this.#call = call;
  }

  start({ received, drained, closed }: FrameLinkEvents): void {
    this.#call.on('data', received);
    this.#call.on('drain', drained);
    this.#call.on('end', () => closed(undefined));
    this.#call.on('cancelled', () => closed(this.#over ? undefined : linkLost('the connection was lost')));
    if (this.#call.cancelled) closed(linkLost('the connection was lost'));
  }

  write(frame: OutgoingFrame): boolean {
    return this.#call.write(frame as Buffer);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#call.end();
  }

  destroy(reason: StatusError): void {
    if (this.#over) return;
    this.#over = true;
    this.#call.emit('error', toServiceError(reason));
  }
}
