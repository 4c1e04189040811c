/** A call of the peer on a connection: from its Open to our Close. */
import type { Call } from '../call.js';
import type { Route } from '../router.js';
import { StatusError } from '../status-error.js';
import { toWireStatus } from '../wire-status.js';
import { encodeAnswer, encodeFrame, MAX_INLINE_BYTES, MAX_MESSAGE_BYTES } from './frame.js';
import type { LongMessages } from './long-messages.js';
import { MessageReceiver } from './message-receiver.js';
import { MessageSender } from './message-sender.js';
import { tooLarge } from './outgoing-call.js';
import type { Outbox } from './outbox.js';

/** Of a Close's status_details. */
const MAX_DETAILS_BYTES = 64 * 1024;

const CALL_OVER = new StatusError('CANCELLED', 'the call is over');
const NO_TRAILERS = {};

export class IncomingCall {
  readonly callId: number;
  readonly #route: Route;
  readonly #call: Call;
  readonly #outbox: Outbox;
  readonly #longMessages: LongMessages;
  readonly #inline: boolean;
  readonly #onClose: (callId: number) => void;
  readonly #onSettled: () => void;
  /** Made where messages travel in Data frames. */
  #sender: MessageSender | undefined;
  #receiver: MessageReceiver | undefined;
  #closed: StatusError | undefined;

  /**
   * @param inline the peer takes a short answer with Close
   * @param onClose Close was sent: the id names nothing any more
   * @param onSettled the handler is done too
   */
  constructor(
    callId: number,
    route: Route,
    call: Call,
    outbox: Outbox,
    longMessages: LongMessages,
    inline: boolean,
    onClose: (callId: number) => void,
    onSettled: () => void,
  ) {
    this.callId = callId;
    this.#route = route;
    this.#call = call;
    this.#outbox = outbox;
    this.#longMessages = longMessages;
    this.#inline = inline;
    this.#onClose = onClose;
    this.#onSettled = onSettled;
    call.onCancel = (reason) => this.#close(reason);
  }

  #sending(): MessageSender {
    if (!this.#sender) {
      this.#sender = new MessageSender(this.callId, this.#outbox);
      if (this.#closed) this.#sender.close(this.#closed);
    }
    return this.#sender;
  }

  #receiving(): MessageReceiver {
    if (!this.#receiver) {
      this.#receiver = new MessageReceiver(this.#longMessages, (bytes) => {
        this.#outbox.control(encodeFrame(this.callId, { $case: 'credit', value: { bytes } }));
      });
      if (this.#closed) this.#receiver.end(this.#closed, true);
    }
    return this.#receiver;
  }

  /** @param request the message that came with Open */
  start(request: Buffer | undefined): void {
    const { method } = this.#route;
    if (method.requestStream) {
      void this.#serve(this.#requests(this.#receiving()));
      return;
    }
    if (request) {
      void this.#serveMessage(request);
      return;
    }
    // A method that takes one message begins with it; the caller's HalfClose says nothing more.
    this.#receiving().consume({
      resolve: (message) => {
        if (message) void this.#serveMessage(message);
        else this.#refuse(new StatusError('INVALID_ARGUMENT', `${method.path} takes a message, and none came`));
      },
      reject: () => this.#settled(), // cancelled before its message came
    });
  }

  received(piece: Buffer, more: boolean): void {
    const failure = this.#receiving().receive(piece, more);
    if (failure) this.#call.cancel(failure);
  }

  granted(bytes: number): void {
    this.#sending().grant(bytes);
  }

  halfClosed(): void {
    this.#receiver?.end(undefined);
  }

  /** The peer cancelled, or is gone. */
  cancel(reason: StatusError): void {
    this.#call.cancel(reason);
  }

  async *#requests(receiver: MessageReceiver): AsyncGenerator<unknown> {
    const { method } = this.#route;
    for (let message = await receiver.next(); message; message = await receiver.next()) {
      yield this.#decode(() => method.decodeRequest(message));
    }
  }

  #serveMessage(message: Buffer): Promise<void> {
    let request: unknown;
    try {
      request = this.#decode(() => this.#route.method.decodeRequest(message));
    } catch (thrown) {
      this.#refuse(StatusError.from(thrown));
      return Promise.resolve();
    }
    return this.#serve(request);
  }

  #decode<T>(decode: () => T): T {
    try {
      return decode();
    } catch (thrown) {
      throw new StatusError('INVALID_ARGUMENT', `malformed message for ${this.#route.method.path}`, { cause: thrown });
    }
  }

  async #serve(request: unknown): Promise<void> {
    const { method, unary, stream } = this.#route;
    try {
      if (unary) {
        const answer = this.#encode(await unary(request, this.#call.ctx));
        if (this.#inline && answer.length <= MAX_INLINE_BYTES) this.#close(undefined, answer);
        else await this.#sending().send(answer);
      } else {
        for await (const answer of stream(request, this.#call.ctx)) {
          if (this.#closed) break;
          const wait = this.#sending().send(this.#encode(answer));
          if (wait) await wait;
        }
      }
      this.#close(undefined);
    } catch (thrown) {
      this.#close(StatusError.from(thrown));
    }
    if (method.requestStream) this.#receiver?.end(CALL_OVER, true);
    this.#settled();
  }

  #encode(answer: unknown): Buffer {
    const message = this.#route.method.encodeResponse(answer);
    if (message.length > MAX_MESSAGE_BYTES) throw tooLarge('the answer', message.length);
    return message;
  }

  #refuse(error: StatusError): void {
    this.#close(error);
    this.#settled();
  }

  #settled(): void {
    this.#call.end();
    this.#onSettled();
  }

  #close(error: StatusError | undefined, answer?: Buffer): void {
    if (this.#closed) return;
    this.#closed = error ?? CALL_OVER;
    this.#sender?.close(this.#closed);
    this.#receiver?.end(this.#closed, true);
    this.#outbox.control(encodeClose(this.callId, error, answer));
    this.#onClose(this.callId);
  }
}

export function encodeClose(callId: number, error: StatusError | undefined, answer?: Buffer): Buffer {
  if (!error) return encodeAnswer(callId, answer);
  const { code, message, details } = toWireStatus(error, MAX_DETAILS_BYTES);
  return encodeFrame(callId, {
    $case: 'close',
    value: { code, message, statusDetails: details, trailers: NO_TRAILERS, response: undefined },
  });
}
