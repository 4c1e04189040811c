import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import type { Endpoint } from '../../driver.js';

export interface RunAnswer {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Asks a stub agent one thing. Rejects where it cannot be reached or ends without an answer. */
export function askStub<T>(endpoint: Endpoint, request: Readonly<Record<string, unknown>>): Promise<T> {
  const socket =
    endpoint.kind === 'unix' ? createConnection(endpoint.path) : createConnection(endpoint.port, endpoint.host);
  return new Promise<T>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the agent gave no answer')));
    createInterface({ input: socket })
      .once('line', (line) => resolve(JSON.parse(line) as T))
      .on('error', () => undefined); // the socket's own listener tells
    socket.write(`${JSON.stringify(request)}\n`);
  }).finally(() => socket.destroy());
}
