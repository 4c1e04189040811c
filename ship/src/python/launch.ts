import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { SessionProcess, SessionRunner } from '../workspace/session-runner.js';
import { Channels, socketPaths, toConnectionFile, type ChannelHandlers } from './channels.js';
import { Tail } from './tail.js';

/** `shipyard`: our launcher's kernel. `stock`: an unmodified ipykernel, where ours does not start. */
export type Variant = 'shipyard' | 'stock';

/** A kernel's process and the way to talk to it. */
export interface Launched {
  readonly process: SessionProcess;
  readonly channels: Channels;
  /** What the process wrote past the kernel's own capture: why it did not start, or how it crashed. */
  readonly lastWords: Tail;
  /** Removes the connection file and the sockets. */
  cleanUp(): Promise<void>;
}

export interface LaunchOptions {
  readonly runner: SessionRunner;
  /** Tells its sockets from those of the session's other kernels. */
  readonly number: number;
  readonly variant: Variant;
  readonly handlers: ChannelHandlers;
  readonly onFault: (error: unknown) => void;
}

/** A Unix socket's path may hold 107 bytes; ZeroMQ says nothing useful beyond. */
const MAX_PATH_BYTES = 100;
const LAST_WORDS_BYTES = 16 * 1024;

/** Starts the process and connects; whether a kernel answers is for the caller to see. */
export async function launch(options: LaunchOptions): Promise<Launched> {
  const { runner, number, variant } = options;
  const name = variant === 'stock' ? `s${number}` : `k${number}`;
  const inside = path.posix.join(runner.socketDir.inside, name);
  const outside = path.join(runner.socketDir.outside, name);
  for (const side of [inside, outside]) {
    const longest = Math.max(...socketPaths(side).map((socket) => Buffer.byteLength(socket)));
    if (longest > MAX_PATH_BYTES)
      throw new Error(`the socket's path has ${longest} bytes, more than ${MAX_PATH_BYTES}: ${side}`);
  }

  const key = randomBytes(32).toString('hex');
  const process = await runner.spawn({
    argv: [
      runner.python,
      path.posix.join(runner.supportDir, 'kernel_launcher.py'),
      ...(variant === 'stock' ? ['--stock'] : []),
      '-f',
      `${inside}.json`,
    ],
    name: `kernel-${name}`,
    stdin: true,
  });
  const lastWords = new Tail(LAST_WORDS_BYTES);
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('data', (bytes: Buffer) => lastWords.add(bytes));
    stream.on('error', options.onFault);
  }
  // The key goes through stdin: the command line and the environment can be read by others.
  process.stdin?.on('error', options.onFault);
  process.stdin?.end(toConnectionFile(inside, key));

  const channels = new Channels(
    { path: outside, key, bounded: variant === 'shipyard', onFault: options.onFault },
    options.handlers,
  );
  return {
    process,
    channels,
    lastWords,
    cleanUp: async () => {
      for (const file of [`${outside}.json`, ...socketPaths(outside)]) await rm(file, { force: true });
    },
  };
}
