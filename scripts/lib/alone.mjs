import { once } from 'node:events';
import { createServer } from 'node:net';

const LOOK_MS = 200;

/**
 * Does something while no other process of this machine does what has the same name; waits for its turn as long as it
 * takes. The claim is a socket of Linux's own name space, which ends with whoever holds it; elsewhere nobody is kept out.
 *
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} act
 * @param {() => void} onWait is told once, where somebody else is at it
 */
export async function alone(name, act, onWait = () => {}) {
  if (process.platform !== 'linux') return act();
  const claim = createServer();
  for (let tries = 0; !(await listens(claim, `\0shipyard ${name}`)); tries += 1) {
    if (tries === 0) onWait();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  try {
    return await act();
  } finally {
    claim.close();
  }
}

async function listens(server, path) {
  try {
    await once(server.listen(path), 'listening');
    return true;
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    return false;
  }
}
