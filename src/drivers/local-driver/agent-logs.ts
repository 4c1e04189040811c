import { watch } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { isMissing } from '../system-error.js';

const CHUNK_BYTES = 64 * 1024;

/**
 * What agent and helpers wrote, oldest first; with `follow` also what comes, until the signal aborts or `over` resolves.
 * A file that was cut meanwhile (the agent bounds its log) is read from its start again.
 */
export async function* readAgentLogs(
  logFile: string,
  options: { readonly follow: boolean; readonly signal: AbortSignal; readonly over?: Promise<unknown> },
): AsyncIterable<string> {
  yield* wholeFile(`${logFile}.1`);
  if (!options.follow) return void (yield* wholeFile(logFile));
  yield* followed(logFile, options.signal, options.over ?? new Promise<never>(() => undefined));
}

async function* wholeFile(file: string): AsyncIterable<string> {
  const handle = await openIfThere(file);
  if (!handle) return;
  try {
    const decoder = new TextDecoder();
    for await (const chunk of chunks(handle, 0)) yield decoder.decode(chunk, { stream: true });
  } finally {
    await handle.close();
  }
}

async function* followed(file: string, signal: AbortSignal, over: Promise<unknown>): AsyncIterable<string> {
  let wakeUp = () => {};
  let changed = Promise.resolve();
  let last = false;
  const wake = () => wakeUp();
  const watcher = watch(path.dirname(file), { persistent: false }, wake);
  watcher.on('error', wake);
  signal.addEventListener('abort', wake, { once: true });
  const finish = () => {
    last = true;
    wake();
  };
  over.then(finish, finish);

  const handle = await openIfThere(file);
  let decoder = new TextDecoder();
  let position = 0;
  try {
    while (handle && !signal.aborted) {
      changed = new Promise((resolve) => (wakeUp = resolve));
      const isLast = last; // decided before reading, so that nothing written before the end is missed
      if ((await handle.stat()).size < position) {
        position = 0;
        decoder = new TextDecoder();
      }
      for await (const chunk of chunks(handle, position)) {
        position += chunk.length;
        yield decoder.decode(chunk, { stream: true });
      }
      if (isLast) return;
      if (!last) await changed;
    }
  } finally {
    signal.removeEventListener('abort', wake);
    watcher.close();
    await handle?.close();
  }
}

async function* chunks(handle: FileHandle, from: number): AsyncIterable<Buffer> {
  for (let position = from; ;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
