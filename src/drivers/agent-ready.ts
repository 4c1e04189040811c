import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from './driver.js';

/** Short, since a container's agent is ready any moment; a try costs next to nothing. */
const PAUSE_MS = 4;
/** A connection on which nothing comes for so long is tried again. */
const SILENCE_MS = 2_000;

/**
 * Answers when the agent itself answers there. A connection alone says nothing, since an engine's proxy takes it before
 * anybody listens behind it: the agent speaks first. With TLS, where it waits for a client to show who it is, nothing
 * stands between.
 */
export async function agentReady(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  while (!(await speaks(endpoint, signal))) await sleep(PAUSE_MS, undefined, { signal });
}

function speaks(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  const target = endpoint.kind === 'unix' ? { path: endpoint.path } : { host: endpoint.host, port: endpoint.port };
  const sign = endpoint.kind === 'tcp' && endpoint.tls ? 'connect' : 'data';
  const socket = createConnection(target);
  return new Promise((resolve) => {
    const end = (answer: boolean) => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      resolve(answer);
    };
    const abort = () => end(false);
    signal.addEventListener('abort', abort, { once: true });
    socket.setTimeout(SILENCE_MS, () => end(false));
    socket.once(sign, () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
