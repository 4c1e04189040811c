import type { Dealer, Subscriber } from 'zeromq';
import { Wire, type KernelReply, type RequestType } from './wire.js';

/** Ports of the connection file; over ipc each is the number behind the path. */
const PORTS = { shell: 1, iopub: 2, stdin: 3, control: 4, heartbeat: 5 } as const;

/** Messages of iopub that wait in native memory, each at most 256 KiB of output, while the log waits for the disk. */
const RECEIVE_HIGH_WATER_MARK = 32;

/** Between two tries to reach a socket that the kernel has not made yet. */
const RECONNECT_INTERVAL_MS = 10;

export interface ChannelsOptions {
  /** Where the sockets lie, without "-<port>"; the agent's side of the shared directory. */
  readonly path: string;
  readonly key: string;
  /**
   * Our launcher's publisher waits when the subscriber does, so a bounded queue here makes the kernel wait for the disk.
   * A stock publisher would drop instead: there the queue is unbounded, and all that the kernel sends is taken.
   */
  readonly bounded: boolean;
  /** Told of messages that are none, or are not signed (they are dropped), and of messages that could not be sent. */
  readonly onFault: (error: unknown) => void;
}

/** One handler for each channel. A returned promise holds that channel back until it resolves; it must not reject. */
export interface ChannelHandlers {
  readonly iopub: (message: KernelReply) => Promise<void> | undefined;
  readonly shell: (message: KernelReply) => Promise<void> | undefined;
  readonly stdin: (message: KernelReply) => Promise<void> | undefined;
}

/** The content of the connection file, whose sockets lie at `path` as the kernel sees it. */
export function toConnectionFile(path: string, key: string): string {
  return JSON.stringify({
    transport: 'ipc',
    ip: path,
    key,
    signature_scheme: 'hmac-sha256',
    kernel_name: '',
    shell_port: PORTS.shell,
    iopub_port: PORTS.iopub,
    stdin_port: PORTS.stdin,
    control_port: PORTS.control,
    hb_port: PORTS.heartbeat,
  });
}

/** Every path that a kernel may leave behind. */
export function socketPaths(path: string): string[] {
  return Object.values(PORTS).map((port) => `${path}-${port}`);
}

/** The four channels to a kernel. No heartbeat: the end of the kernel's process is the sign. */
export class Channels {
  readonly #wire: Wire;
  readonly #shell: Dealer;
  readonly #control: Dealer;
  readonly #stdin: Dealer;
  readonly #iopub: Subscriber;
  readonly #onFault: (error: unknown) => void;
  #closed = false;

  private constructor(
    wire: Wire,
    onFault: (error: unknown) => void,
    sockets: { shell: Dealer; control: Dealer; stdin: Dealer; iopub: Subscriber },
  ) {
    this.#wire = wire;
    this.#onFault = onFault;
    this.#shell = sockets.shell;
    this.#control = sockets.control;
    this.#stdin = sockets.stdin;
    this.#iopub = sockets.iopub;
  }

  /** Connects; the kernel need not be there yet. Close it. */
  static async open(options: ChannelsOptions, handlers: ChannelHandlers): Promise<Channels> {
    // A native module: loaded with the first kernel, not with the agent.
    const { Dealer, Subscriber } = await import('zeromq');
    const wire = new Wire(options.key);
    // One identity for all: the kernel sends input requests to the identity that asked on shell.
    const dealer = { linger: 0, reconnectInterval: RECONNECT_INTERVAL_MS, routingId: wire.nextId() };
    const channels = new Channels(wire, options.onFault, {
      shell: new Dealer(dealer),
      control: new Dealer(dealer),
      stdin: new Dealer(dealer),
      iopub: new Subscriber({
        linger: 0,
        reconnectInterval: RECONNECT_INTERVAL_MS,
        receiveHighWaterMark: options.bounded ? RECEIVE_HIGH_WATER_MARK : 0,
      }),
    });
    channels.#connect(options.path, handlers);
    return channels;
  }

  #connect(path: string, handlers: ChannelHandlers): void {
    this.#iopub.subscribe();
    this.#iopub.connect(`ipc://${path}-${PORTS.iopub}`);
    this.#shell.connect(`ipc://${path}-${PORTS.shell}`);
    this.#stdin.connect(`ipc://${path}-${PORTS.stdin}`);
    this.#control.connect(`ipc://${path}-${PORTS.control}`);
    void this.#read(this.#iopub, handlers.iopub);
    void this.#read(this.#shell, handlers.shell);
    void this.#read(this.#stdin, handlers.stdin);
    void this.#read(this.#control, () => undefined);
  }

  nextId(): string {
    return this.#wire.nextId();
  }

  /** Never waits: the kernel is asked one thing at a time, far below the socket's high-water mark. */
  send(channel: 'shell' | 'control' | 'stdin', id: string, type: RequestType, content: object): void {
    if (this.#closed) return;
    const socket = channel === 'shell' ? this.#shell : channel === 'control' ? this.#control : this.#stdin;
    socket.send(this.#wire.encode(id, type, content)).catch((error: unknown) => {
      if (!this.#closed) this.#onFault(error);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of [this.#shell, this.#control, this.#stdin, this.#iopub]) socket.close();
  }

  async #read(socket: Dealer | Subscriber, handle: (message: KernelReply) => Promise<void> | undefined): Promise<void> {
    for await (const frames of socket) {
      let message;
      try {
        message = this.#wire.decode(frames);
      } catch (error) {
        this.#onFault(error);
        continue;
      }
      const held = handle(message);
      if (held) await held;
      if (this.#closed) return;
    }
  }
}
