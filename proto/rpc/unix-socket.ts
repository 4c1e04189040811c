/** A path for a server's unix socket. */
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';

/** Beyond about 107 bytes the system cuts the path, and Node's listen() reports success all the same. */
const MAX_PATH_BYTES = 100;

/**
 * Removes the socket that a dead server left behind.
 *
 * @throws Error where the path is too long, is taken by a server that lives (`code: 'EADDRINUSE'`), or is no socket
 */
export async function prepareUnixSocket(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new Error(`the socket's path is longer than ${MAX_PATH_BYTES} bytes: ${path}`);
  }
  const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!stat) return;
  if (!stat.isSocket()) throw new Error(`not a socket: ${path}`);
  if (await isAnswered(path)) throw Object.assign(new Error(`${path} is in use`), { code: 'EADDRINUSE' });
  await unlink(path);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
