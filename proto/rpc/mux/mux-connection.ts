/**
 * Any number of calls over one stream of frames, in both directions at once: a Transport for our own calls, and a server
 * of a router for the peer's. The rules are those of proto/shipyard/mux/v1/mux.proto.
 */
import type { Frame, Hello, Open } from '../../gen/shipyard/mux/v1/mux.js';
import { abortReason, deadlineExceeded } from '../call.js';
import type { Transport } from '../client.js';
import type { CallOptions } from '../definition.js';
import { linkLost, markLinkLost } from '../link-lost.js';
import type { Router } from '../router.js';
import type { Method } from '../service.js';
import { StatusError } from '../status-error.js';
import { fromWireStatus } from '../wire-status.js';
import {
  decodeFrame,
  encodeFrame,
  INLINE_FEATURE,
  MAX_CALL_ID,
  MAX_FRAME_BYTES,
  MAX_OPEN_CALLS,
  MIN_PROTOCOL_GENERATION,
  PROTOCOL_GENERATION,
} from './frame.js';
import type { FrameLink } from './frame-link.js';
import { encodeClose, IncomingCall } from './incoming-call.js';
import { LongMessages } from './long-messages.js';
import { encodeMessage, OutgoingCall } from './outgoing-call.js';
import { Outbox } from './outbox.js';
import { OutgoingStream } from './outgoing-stream.js';

export const PING_INTERVAL_MS = 5_000;
/** Silence after which a peer is given up. */
export const DEAD_AFTER_MS = 15_000;

/** What this side says of itself; the generations are the connection's own to fill in. */
export type OwnHello = Partial<Omit<Hello, 'generation' | 'minGeneration'>>;

export interface MuxConnectionOptions {
  /** The dialer's calls are odd, the acceptor's even. */
  readonly role: 'dialer' | 'acceptor';
  readonly hello?: OwnHello;
  /** Serves the peer's calls; without one, they are METHOD_UNKNOWN. */
  readonly router?: Router;
  /** For contexts and messages: "mux 127.0.0.1:4711". */
  readonly peer: string;
  /** What the peer's calls carry of the connection itself: `authorization`, for calls that have none of their own. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly pingIntervalMs?: number;
  readonly deadAfterMs?: number;
}

const NO_OPTIONS: CallOptions = {};
const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

export class MuxConnection implements Transport {
  readonly peer: string;
  /** The peer's Hello. Rejects where the connection ends before it came. */
  readonly ready: Promise<Hello>;
  /** Why the connection ended, once it has; a StatusError of which isLinkLost() is true. Never rejects. */
  readonly closed: Promise<StatusError>;

  readonly #link: FrameLink;
  readonly #outbox: Outbox;
  readonly #router: Router | undefined;
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #outgoing = new Map<number, OutgoingCall>();
  readonly #incoming = new Map<number, IncomingCall>();
  readonly #longMessages = new LongMessages();
  readonly #deadAfterTicks: number;
  readonly #ticker: NodeJS.Timeout;
  #nextCallId: number;
  #lastPeerCallId: number;
  /** Handlers that have not settled: a cancelled call counts until it stops. */
  #unsettled = 0;
  #silentTicks = 0;
  #pingId = 0;
  #hello: Hello | undefined;
  #inline = false;
  #peerGoesAway: string | undefined;
  #goingAway = false;
  #end: StatusError | undefined;
  #onReady!: (hello: Hello) => void;
  #onNeverReady!: (reason: StatusError) => void;
  #onClosed!: (reason: StatusError) => void;

  constructor(link: FrameLink, options: MuxConnectionOptions) {
    this.peer = options.peer;
    this.#link = link;
    this.#router = options.router;
    this.#metadata = options.metadata ?? NO_METADATA;
    this.#nextCallId = options.role === 'dialer' ? 1 : 2;
    this.#lastPeerCallId = options.role === 'dialer' ? 0 : -1;
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onNeverReady = reject;
    });
    this.ready.catch(() => undefined); // whoever awaits it hears; `closed` tells everybody else
    this.closed = new Promise((resolve) => (this.#onClosed = resolve));
    this.#outbox = new Outbox(link, () => {
      this.#fail(new StatusError('TOO_MANY_CALLS', `${this.peer} does not read what it asks for`));
    });
    const intervalMs = options.pingIntervalMs ?? PING_INTERVAL_MS;
    this.#deadAfterTicks = Math.ceil((options.deadAfterMs ?? DEAD_AFTER_MS) / intervalMs);
    this.#ticker = setInterval(() => this.#tick(), intervalMs).unref(); // the link keeps the process, where it should
    link.start({
      received: (frame) => this.#received(frame),
      drained: () => this.#outbox.drained(),
      closed: (error) => this.#linkClosed(error),
    });
    this.#sendHello(options.hello ?? {});
  }

  /** Undefined until the peer's Hello is in. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  /** Calls of both sides. */
  get openCalls(): number {
    return this.#outgoing.size + this.#incoming.size;
  }

  unary(method: Method, request: unknown, options: CallOptions = NO_OPTIONS): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const payload = method.requestStream ? (request as AsyncIterable<unknown>) : encodeMessage(method, request);
      this.open(method, options).startUnary(payload, (error, answer) => {
        if (error) reject(error);
        else if (answer === undefined) reject(new StatusError('INTERNAL', `${method.path} ended without an answer`));
        else settle(() => method.decodeResponse(answer), resolve, reject);
      });
    });
  }

  stream(method: Method, request: unknown, options: CallOptions = NO_OPTIONS): AsyncIterable<unknown> {
    return new OutgoingStream(this, method, request, options);
  }

  /** Takes a call id; the call is to be started in the same turn. @throws StatusError */
  open(method: Method, options: CallOptions): OutgoingCall {
    if (options.signal?.aborted) throw abortReason(options.signal);
    if (options.timeoutMs !== undefined && options.timeoutMs < 0) throw deadlineExceeded();
    if (this.#end) throw this.#end;
    if (this.#goingAway) throw new StatusError('SHUTTING_DOWN', 'this side takes no new calls');
    if (this.#peerGoesAway !== undefined) {
      throw new StatusError('SHUTTING_DOWN', this.#peerGoesAway || `${this.peer} takes no new calls`);
    }
    if (this.#outgoing.size >= MAX_OPEN_CALLS) throw tooManyCalls();
    const callId = this.#nextCallId;
    if (callId > MAX_CALL_ID) {
      this.goAway('the connection has used up its call ids');
      throw linkLost('the connection has used up its call ids');
    }
    this.#nextCallId += 2;
    const call = new OutgoingCall(
      callId,
      method,
      options,
      this.#outbox,
      this.#longMessages,
      this.#inline,
      this.#forgetOutgoing,
    );
    this.#outgoing.set(callId, call);
    return call;
  }

  /** No new calls from either side; those that are open run to their end, and then the connection ends in good order. */
  goAway(message = 'the peer is going away'): void {
    if (this.#goingAway || this.#end) return;
    this.#goingAway = true;
    this.#outbox.control(encodeFrame(0, { $case: 'goAway', value: { message } }));
    this.#endIfDone();
  }

  /** Ends the connection and every call on it at once. */
  close(reason = new StatusError('SHUTTING_DOWN', 'the connection was closed')): void {
    this.#fail(reason);
  }

  #sendHello(own: OwnHello): void {
    const hello: Hello = {
      generation: PROTOCOL_GENERATION,
      minGeneration: MIN_PROTOCOL_GENERATION,
      shipId: own.shipId ?? '',
      incarnation: own.incarnation ?? 0,
      agentVersion: own.agentVersion ?? '',
      features: [INLINE_FEATURE, ...(own.features ?? [])],
    };
    this.#outbox.control(encodeFrame(0, { $case: 'hello', value: hello }));
  }

  #tick(): void {
    this.#silentTicks++;
    if (this.#silentTicks > this.#deadAfterTicks) {
      this.#fail(linkLost(`${this.peer} has been silent for too long`));
      return;
    }
    this.#outbox.control(encodeFrame(0, { $case: 'ping', value: { id: ++this.#pingId } }));
  }

  #received(bytes: Buffer): void {
    if (this.#end) return;
    this.#silentTicks = 0;
    try {
      if (bytes.length > MAX_FRAME_BYTES) throw new StatusError('TOO_LARGE', `a frame of ${bytes.length} bytes`);
      this.#dispatch(decodeFrame(bytes));
    } catch (thrown) {
      const reason = thrown instanceof StatusError ? thrown : malformed(thrown);
      this.#fail(reason);
    }
  }

  #dispatch({ callId, body }: Frame): void {
    if (callId === 0 && body?.$case === 'close') {
      const { code, message, statusDetails } = body.value;
      this.#linkClosed(fromWireStatus(code, message, statusDetails));
      return;
    }
    if (!this.#hello) {
      if (body?.$case !== 'hello') throw new StatusError('INVALID_ARGUMENT', 'the first frame is not Hello');
      this.#greeted(body.value);
      return;
    }
    switch (body?.$case) {
      case 'data':
        this.#call(callId)?.received(body.value.bytes, body.value.more);
        break;
      case 'open':
        this.#opened(callId, body.value);
        break;
      case 'close':
        this.#ownCall(callId)?.closed(body.value);
        this.#endIfDone();
        break;
      case 'credit':
        this.#call(callId)?.granted(body.value.bytes);
        break;
      case 'halfClose':
        this.#peerCall(callId)?.halfClosed();
        break;
      case 'cancel':
        this.#peerCall(callId)?.cancel(new StatusError('CANCELLED', 'the caller cancelled the call'));
        break;
      case 'ping':
        this.#outbox.control(encodeFrame(0, { $case: 'pong', value: { id: body.value.id } }));
        break;
      case 'pong':
        break; // that something came is all that counts
      case 'goAway':
        this.#peerGoesAway = body.value.message;
        this.#endIfDone();
        break;
      case 'hello':
        throw new StatusError('INVALID_ARGUMENT', 'Hello came twice');
      case undefined:
        break; // a kind of a later generation
    }
  }

  #greeted(hello: Hello): void {
    if (hello.generation < MIN_PROTOCOL_GENERATION || hello.minGeneration > PROTOCOL_GENERATION) {
      throw new StatusError(
        'PROTOCOL_UNSUPPORTED',
        `the peer speaks generations ${hello.minGeneration} to ${hello.generation}, this side ` +
          `${MIN_PROTOCOL_GENERATION} to ${PROTOCOL_GENERATION}`,
      );
    }
    this.#hello = hello;
    this.#inline = hello.features.includes(INLINE_FEATURE);
    this.#onReady(hello);
  }

  #isOwn(callId: number): boolean {
    return callId % 2 === this.#nextCallId % 2;
  }

  /** Undefined for a call that is closed. @throws StatusError where the id was never used */
  #call(callId: number): OutgoingCall | IncomingCall | undefined {
    return this.#isOwn(callId) ? this.#ownCall(callId) : this.#peerCall(callId);
  }

  #ownCall(callId: number): OutgoingCall | undefined {
    const call = this.#outgoing.get(callId);
    if (!call && (!this.#isOwn(callId) || callId >= this.#nextCallId)) throw neverOpened(callId);
    return call;
  }

  #peerCall(callId: number): IncomingCall | undefined {
    const call = this.#incoming.get(callId);
    if (!call && (this.#isOwn(callId) || callId > this.#lastPeerCallId)) throw neverOpened(callId);
    return call;
  }

  #opened(callId: number, open: Open): void {
    if (callId === 0 || this.#isOwn(callId))
      throw new StatusError('INVALID_ARGUMENT', `call id ${callId} is not the peer's`);
    if (callId <= this.#lastPeerCallId) throw new StatusError('INVALID_ARGUMENT', `call id ${callId} was used before`);
    this.#lastPeerCallId = callId;
    try {
      if (this.#goingAway) throw new StatusError('SHUTTING_DOWN', 'the server is stopping');
      if (this.#unsettled >= MAX_OPEN_CALLS) throw tooManyCalls();
      if (!this.#router) throw new StatusError('METHOD_UNKNOWN', `unknown method: ${open.method}`);
      const route = this.#router.route(open.method);
      const { timeoutMs } = open;
      if (timeoutMs < 0) throw deadlineExceeded();
      const metadata = this.#metadataOf(open);
      const call = this.#router.begin(route.method, { metadata, peer: this.peer, timeoutMs });
      this.#unsettled++;
      const incoming = new IncomingCall(
        callId,
        route,
        call,
        this.#outbox,
        this.#longMessages,
        this.#inline,
        this.#forgetIncoming,
        this.#onSettled,
      );
      this.#incoming.set(callId, incoming);
      incoming.start(open.request);
    } catch (thrown) {
      this.#outbox.control(encodeClose(callId, StatusError.from(thrown)));
    }
  }

  #metadataOf({ metadata }: Open): Readonly<Record<string, string>> {
    return Object.keys(metadata).length === 0 ? this.#metadata : { ...this.#metadata, ...metadata };
  }

  readonly #forgetOutgoing = (callId: number): void => {
    this.#outgoing.delete(callId);
  };

  readonly #forgetIncoming = (callId: number): void => {
    this.#incoming.delete(callId);
    if (this.#goingAway) this.#endIfDone();
  };

  readonly #onSettled = (): void => {
    this.#unsettled--;
  };

  #endIfDone(): void {
    if (this.#goingAway && this.openCalls === 0 && !this.#end) this.#outbox.end();
  }

  #linkClosed(error: StatusError | undefined): void {
    if (this.#end) return;
    if (error) {
      this.#link.end();
      this.#finish(markLinkLost(error));
    } else if (this.#peerGoesAway !== undefined || this.#goingAway) {
      this.#link.end();
      this.#finish(markLinkLost(new StatusError('SHUTTING_DOWN', this.#peerGoesAway || 'the connection was closed')));
    } else {
      this.#link.end();
      this.#finish(linkLost(`${this.peer} ended the connection`));
    }
  }

  #fail(reason: StatusError): void {
    if (this.#end) return;
    this.#link.destroy(reason);
    this.#finish(markLinkLost(reason));
  }

  #finish(reason: StatusError): void {
    this.#end = reason;
    clearInterval(this.#ticker);
    this.#outbox.close();
    for (const call of [...this.#outgoing.values()]) call.lost(reason);
    this.#outgoing.clear();
    // Told apart from the caller's own Cancel: the caller may still be there, behind a peer that dials again.
    const left = markLinkLost(new StatusError('CANCELLED', `the connection to the caller ended: ${reason.message}`));
    for (const call of [...this.#incoming.values()]) call.cancel(left);
    this.#incoming.clear();
    this.#onNeverReady(reason);
    this.#onClosed(reason);
  }
}

function tooManyCalls(): StatusError {
  return new StatusError('TOO_MANY_CALLS', `${MAX_OPEN_CALLS} calls are open on this connection`);
}

function neverOpened(callId: number): StatusError {
  return new StatusError('INVALID_ARGUMENT', `a frame for call ${callId}, which was never opened`);
}

function malformed(cause: unknown): StatusError {
  return new StatusError('INVALID_ARGUMENT', 'malformed frame', { cause });
}

function settle<T>(decode: () => T, resolve: (value: T) => void, reject: (reason: StatusError) => void): void {
  try {
    resolve(decode());
  } catch (thrown) {
    reject(new StatusError('INTERNAL', 'malformed answer', { cause: thrown }));
  }
}
