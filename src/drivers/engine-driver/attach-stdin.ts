import type { Duplex } from 'node:stream';
import { callEngine } from './call-engine.js';
import type { Engine } from './engine.js';

/**
 * Gives a container all of its standard input, which it can read once it runs. The engine passes it on and keeps it
 * nowhere, so that secrets in it are in no environment, argument or file.
 */
export async function attachStdin(
  engine: Engine,
  containerId: string,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  const stream = await callEngine<Duplex>(engine, {
    method: 'POST',
    path: `/containers/${containerId}/attach`,
    query: { stream: true, stdin: true },
    answer: 'hijack',
    signal,
  });
  stream.on('error', () => undefined); // a container that ended meanwhile is found out by its end
  stream.resume().end(text);
}
