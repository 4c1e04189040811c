import type { Duplex } from 'node:stream';
import { callEngine } from './call-engine.js';
import type { Engine } from './engine.js';

export interface AttachedContainer {
  readonly id: string;
  /** Calls each time the container has written something to its stderr, where an agent's log goes. */
  readonly onOutput: (listener: () => void) => void;
  /** Lets go of the container, which goes on. */
  readonly detach: () => void;
}

/**
 * Gives a container all of its standard input, which it can read once it runs. The engine passes it on and keeps it
 * nowhere, so that secrets in it are in no environment, argument or file. Detach in the end.
 */
export async function attachToContainer(
  engine: Engine,
  id: string,
  stdin: string,
  signal: AbortSignal,
): Promise<AttachedContainer> {
  const stream = await callEngine<Duplex>(engine, {
    method: 'POST',
    path: `/containers/${id}/attach`,
    query: { stream: true, stdin: true, stderr: true },
    answer: 'hijack',
    signal,
  });
  stream.on('error', () => undefined); // a container that ended meanwhile is found out by its end
  stream.resume().end(stdin);
  return {
    id,
    onOutput: (listener) => void stream.on('data', listener),
    detach: () => void stream.destroy(),
  };
}
