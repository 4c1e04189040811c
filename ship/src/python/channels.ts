import { Wire, type KernelReply, type RequestType } from './wire.js';
import { ZmtpSocket, type ZmtpSocketOptions } from './zmtp/zmtp-socket.js';

/** Ports of the connection file; over ipc each is the number behind the path. */
const PORTS = { shell: 1, iopub: 2, stdin: 3, control: 4, heartbeat: 5 } as const;

export interface ChannelsOptions {
  /** Where the sockets lie, without "-<port>"; the agent's side of the shared directory. */
  readonly path: string;
  readonly key: string;
  /**
   * Our launcher's publisher waits when the subscriber does: what is not read here makes the kernel wait for the disk.
   * A stock publisher would drop instead: there all that the kernel sends is taken, and waits in memory.
   */
  readonly bounded: boolean;
  /** Told of messages that are none, are too large, or are not signed (they are dropped), and of a peer that is no kernel. */
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
  readonly #options: ChannelsOptions;
  readonly #shell: ZmtpSocket;
  readonly #control: ZmtpSocket;
  readonly #stdin: ZmtpSocket;
  readonly #iopub: ZmtpSocket;

  /** Connects; the kernel need not be there yet. Close it. */
  constructor(options: ChannelsOptions, handlers: ChannelHandlers) {
    this.#options = options;
    this.#wire = new Wire(options.key);
    this.#iopub = this.#open('iopub', handlers.iopub, { type: 'SUB', bounded: options.bounded });
    // One identity for all: the kernel sends input requests to the identity that asked on shell.
    const dealer = { type: 'DEALER', bounded: true, identity: this.nextId(), after: this.#iopub.connected } as const;
    this.#shell = this.#open('shell', handlers.shell, dealer);
    this.#stdin = this.#open('stdin', handlers.stdin, dealer);
    this.#control = this.#open('control', () => undefined, dealer);
  }

  #open(
    channel: keyof typeof PORTS,
    handle: (message: KernelReply) => Promise<void> | undefined,
    options: Pick<ZmtpSocketOptions, 'type' | 'bounded' | 'identity' | 'after'>,
  ): ZmtpSocket {
    const onMessage = (frames: readonly Buffer[]): Promise<void> | undefined => handle(this.#wire.decode(frames));
    const path = `${this.#options.path}-${PORTS[channel]}`;
    return new ZmtpSocket({ ...options, path, onMessage, onFault: this.#options.onFault });
  }

  nextId(): string {
    return this.#wire.nextId();
  }

  /** Never waits: the kernel is asked one thing at a time. */
  send(channel: 'shell' | 'control' | 'stdin', id: string, type: RequestType, content: object): void {
    const socket = channel === 'shell' ? this.#shell : channel === 'control' ? this.#control : this.#stdin;
    socket.send(this.#wire.encode(id, type, content));
  }

  close(): void {
    for (const socket of [this.#shell, this.#control, this.#stdin, this.#iopub]) socket.close();
  }
}
