import { connect, type OnReadOpts, type Socket } from 'node:net';
import { encodeGreeting, encodeMessage, encodeReady, SUBSCRIPTION, type SocketType } from './frame.js';
import { MessageReader } from './message-reader.js';

/** Between two tries to reach a socket that is not there yet. */
const RETRY_MS = 10;
/** Before a peer is tried again that is no kernel: each time is told. */
const RETRY_STRANGER_MS = 1000;
/** Messages of a connection that are none; with more of them it is no kernel's. */
const MAX_FAULTS = 16;
/** All sockets read into it, one after the other. */
const SCRATCH = Buffer.allocUnsafeSlow(64 * 1024);

export interface ZmtpSocketOptions {
  readonly type: SocketType;
  readonly path: string;
  /** Not tried before this: a peer that makes several sockets is looked for at the last of them. */
  readonly after?: Promise<void>;
  /** By which a ROUTER knows a DEALER. */
  readonly identity?: string;
  /**
   * Whether the peer waits for a handler that takes its time, by way of the socket's own buffer. Else all that it sends is
   * taken, and waits here.
   */
  readonly bounded: boolean;
  /** A returned promise holds back what follows; it must not reject. Throws where it is no message. */
  readonly onMessage: (frames: readonly Buffer[]) => Promise<void> | undefined;
  readonly onFault: (error: Error) => void;
}

/**
 * A DEALER or SUB of ZeroMQ over a unix socket. libzmq's own works in a thread of its own, and wakes it and is woken for each
 * message; here a message to a kernel is one system call, and one from it a read (ARCHITECTURE.md has the figures).
 *
 * It connects as soon as the peer is there, again where the connection was lost, and keeps what was sent before.
 */
export class ZmtpSocket {
  readonly #options: ZmtpSocketOptions;
  #socket: Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isConnected = false;
  #isClosed = false;
  #unsent: Buffer[] = [];
  #messages: (readonly Buffer[])[] = [];
  #isHeld = false;
  #faults = 0;
  #isStranger = false;
  /** Resolves with the first connection, or with close(). */
  readonly connected: Promise<void>;
  #markConnected!: () => void;

  constructor(options: ZmtpSocketOptions) {
    this.#options = options;
    this.connected = new Promise((resolve) => (this.#markConnected = resolve));
    if (options.after) void options.after.then(() => this.#connect());
    else this.#connect();
  }

  send(frames: readonly Buffer[]): void {
    if (this.#isClosed) return;
    const message = encodeMessage(frames);
    if (this.#isConnected) this.#socket?.write(message);
    else this.#unsent.push(message);
  }

  /** What was received and not handled is dropped. */
  close(): void {
    this.#isClosed = true;
    this.#messages = [];
    clearTimeout(this.#retry);
    this.#socket?.destroy();
    this.#markConnected();
  }

  #connect(): void {
    if (this.#isClosed) return;
    const { path, type, identity = '', onFault } = this.#options;
    const reader = new MessageReader({
      ready: () => this.#ready(),
      message: (frames) => this.#messages.push(frames),
      dropped: onFault,
    });
    this.#faults = 0;
    const onread: OnReadOpts = {
      buffer: () => reader.room() ?? SCRATCH,
      callback: (length, memory) => this.#received(reader, length, memory),
    };
    const socket = connect({ path, onread });
    socket.on('connect', () => socket.write(Buffer.concat([encodeGreeting(), encodeReady(type, identity)])));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#lost());
    this.#socket = socket;
  }

  #ready(): void {
    const first = this.#options.type === 'SUB' ? [SUBSCRIPTION] : [];
    this.#socket?.write(Buffer.concat([...first, ...this.#unsent]));
    this.#unsent = [];
    this.#isConnected = true;
    this.#markConnected();
  }

  #lost(): void {
    this.#isConnected = false;
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => this.#connect(), this.#isStranger ? RETRY_STRANGER_MS : RETRY_MS);
    this.#isStranger = false;
  }

  /** @returns whether to read on */
  #received(reader: MessageReader, length: number, memory: Uint8Array): boolean {
    try {
      if (memory === SCRATCH) reader.push(SCRATCH.subarray(0, length));
      else reader.filled(length);
    } catch (error) {
      this.#options.onFault(error as Error);
      this.#leaveStranger();
      return false;
    }
    this.#handle();
    return !(this.#isHeld && this.#options.bounded);
  }

  #handle(): void {
    while (!this.#isHeld) {
      const message = this.#messages.shift();
      if (!message) return;
      try {
        const held = this.#options.onMessage(message);
        if (!held) continue;
        this.#isHeld = true;
        void held.then(() => this.#goOn());
      } catch (error) {
        this.#options.onFault(error as Error);
        if (++this.#faults > MAX_FAULTS) this.#leaveStranger();
      }
    }
  }

  #leaveStranger(): void {
    this.#isStranger = true;
    this.#messages = [];
    this.#socket?.destroy();
  }

  #goOn(): void {
    this.#isHeld = false;
    this.#handle();
    if (!this.#isHeld) this.#socket?.resume();
  }
}
