import { createConnection } from 'node:net';
import type { Endpoint } from './driver.js';

/** Short at first, since an agent is ready any moment; many that start at once are not to be kept from it by our asking. */
const FIRST_PAUSE_MS = 4;
const PAUSE_GROWS = 1.5;
const LONGEST_PAUSE_MS = 40;
/** A connection on which nothing comes for so long is tried again. */
const SILENCE_MS = 2_000;
/** An HTTP/2 client's first words, with empty settings; agents of all versions answer them. */
const GREETING = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

export interface AgentReadyOptions {
  /** Takes a function to call whenever something tells that it may be ready by now, as what it writes. */
  readonly onSign?: (look: () => void) => void;
  /** Something stands between that takes connections before anybody listens behind it, as an engine's proxy does. */
  readonly behindProxy?: boolean;
}

/**
 * Answers when the agent itself answers there. Where nothing stands between, it has taken the connection; behind a proxy it
 * must have said something, which costs it a session of HTTP/2 that it needs for nothing else.
 */
export async function agentReady(
  endpoint: Endpoint,
  signal: AbortSignal,
  { onSign, behindProxy = false }: AgentReadyOptions = {},
): Promise<void> {
  signal.throwIfAborted();
  const sign = new Sign(signal);
  onSign?.(() => sign.give());
  let pauseMs = FIRST_PAUSE_MS;
  while (!(await answers(endpoint, behindProxy, signal))) {
    await sign.within(pauseMs);
    pauseMs = Math.min(pauseMs * PAUSE_GROWS, LONGEST_PAUSE_MS);
  }
}

/** Waits for a sign that was given since the last wait, or for a time. */
class Sign {
  #given = false;
  #wake: () => void = () => undefined;

  constructor(private readonly signal: AbortSignal) {}

  give(): void {
    this.#given = true;
    this.#wake();
  }

  async within(pauseMs: number): Promise<void> {
    if (!this.#given) await this.#wait(pauseMs);
    this.signal.throwIfAborted();
    this.#given = false;
  }

  #wait(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, pauseMs);
      this.signal.addEventListener('abort', wake, { once: true });
      this.#wake = wake;
    });
  }
}

function answers(endpoint: Endpoint, behindProxy: boolean, signal: AbortSignal): Promise<boolean> {
  const target = endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
  const socket = createConnection(target);
  if (behindProxy) socket.write(GREETING);
  return new Promise((resolve) => {
    const end = (answer: boolean) => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      resolve(answer);
    };
    const abort = () => end(false);
    signal.addEventListener('abort', abort, { once: true });
    socket.setTimeout(SILENCE_MS, () => end(false));
    socket.once(behindProxy ? 'data' : 'connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
