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

/**
 * Answers when the agent itself answers there. A connection alone says nothing, since an engine's proxy takes it before
 * anybody listens behind it: the agent must have said something. With TLS, where it waits for a client to show who it is,
 * nothing stands between.
 *
 * @param onSign takes a function to call whenever something tells that it may be ready by now, as what it writes
 */
export async function agentReady(
  endpoint: Endpoint,
  signal: AbortSignal,
  onSign: (look: () => void) => void = () => undefined,
): Promise<void> {
  signal.throwIfAborted();
  const sign = new Sign(signal);
  onSign(() => sign.give());
  let pauseMs = FIRST_PAUSE_MS;
  while (!(await speaks(endpoint, signal))) {
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

function speaks(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  const target = endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
  const withTls = endpoint.kind === 'tcp' && endpoint.tls !== undefined;
  const socket = createConnection(target);
  if (!withTls) socket.write(GREETING);
  return new Promise((resolve) => {
    const end = (answer: boolean) => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      resolve(answer);
    };
    const abort = () => end(false);
    signal.addEventListener('abort', abort, { once: true });
    socket.setTimeout(SILENCE_MS, () => end(false));
    socket.once(withTls ? 'connect' : 'data', () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
