import type { Readable } from 'node:stream';
import { callEngine } from './call-engine.js';
import { bounded, type Engine } from './engine.js';
import { textOfFrames } from './log-stream.js';

export interface LogOptions {
  readonly follow: boolean;
  /** Only this many last lines. */
  readonly tail?: number;
  readonly signal: AbortSignal;
}

/** What a container wrote; with `follow` also what comes, until it ends. The signal ends it without an error. */
export async function* streamLogs(
  engine: Engine,
  containerId: string,
  options: LogOptions,
): AsyncGenerator<string, void, undefined> {
  const stream = await openLogs(engine, containerId, options);
  try {
    yield* textOfFrames(stream);
  } catch (error) {
    if (!options.signal.aborted) throw error;
  } finally {
    stream.destroy();
  }
}

/** All of it, or its last lines, as one text. */
export async function readLogs(
  engine: Engine,
  containerId: string,
  signal?: AbortSignal,
  tail?: number,
): Promise<string> {
  let text = '';
  const options = { follow: false, signal: bounded(signal), ...(tail === undefined ? {} : { tail }) };
  for await (const piece of streamLogs(engine, containerId, options)) text += piece;
  return text;
}

function openLogs(engine: Engine, containerId: string, { follow, tail, signal }: LogOptions): Promise<Readable> {
  const query = { stdout: true, stderr: true, follow, tail: tail ?? 'all' };
  return callEngine(engine, {
    method: 'GET',
    path: `/containers/${containerId}/logs`,
    query,
    answer: 'stream',
    signal,
  });
}
