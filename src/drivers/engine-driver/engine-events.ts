import type { Readable } from 'node:stream';
import type { Log } from '../../telemetry/log.js';
import { callEngine } from './call-engine.js';
import type { Engine } from './engine.js';
import { engineTrouble } from './engine-error.js';
import { jsonLines } from '../json-lines.js';

/** As much of an engine's event as is used. */
export interface EngineEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes?: Readonly<Record<string, string>> };
  readonly timeNano: number;
}

export interface EventListener {
  onEvent(event: EngineEvent): void;
  /** The stream is there; events may have been missed since the last one. */
  onConnected(): void;
}

const PAUSES_MS = [20, 50, 100, 200, 500, 1000];

/**
 * The one stream of the engine's events that a Bay reads. It is opened again whenever it breaks, as often as it takes, until
 * the signal aborts.
 */
export async function followEvents(
  engine: Engine,
  listener: EventListener,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      const stream = await openEvents(engine, signal);
      if (attempt > 0) log.info({ engine: engine.kind }, 'the engine answers again');
      attempt = 0;
      listener.onConnected();
      for await (const event of jsonLines<EngineEvent>(stream, signal)) listener.onEvent(event);
    } catch (error) {
      if (signal.aborted) return;
      if (attempt === 0)
        log.warn({ engine: engine.kind, reason: engineTrouble(error) }, "the stream of the engine's events broke");
    }
    await pause(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] ?? 1000, signal);
  }
}

/** Its socket keeps no process alive that has nothing else to do. */
async function openEvents(engine: Engine, signal: AbortSignal): Promise<Readable> {
  const query = { filters: JSON.stringify({ type: ['container', 'network'] }) };
  const opening = new AbortController();
  const timer = setTimeout(() => opening.abort(new Error('no answer')), 10_000);
  try {
    const call = { method: 'GET', path: '/events', query, answer: 'stream' } as const;
    const stream = await callEngine<Readable & { socket?: { unref(): void } }>(engine, {
      ...call,
      signal: AbortSignal.any([signal, opening.signal]),
    });
    stream.socket?.unref();
    return stream;
  } finally {
    clearTimeout(timer);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal.addEventListener('abort', done, { once: true });
  });
}
