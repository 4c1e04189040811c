import type { Readable } from 'node:stream';
import type { Log } from '../../telemetry/log.js';
import type { Engine } from './engine.js';
import { jsonLines } from '../json-lines.js';

/** Nothing new for so long: whoever should send it is not there. */
const STALL_MS = 60_000;
/** How often the log tells how far it is. */
const TELL_MS = 2_000;

interface Progress {
  readonly id?: string;
  readonly status?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** Pulls an image; the log tells how far it is. @throws Error in the engine's or the registry's words */
export async function pullImage(engine: Engine, name: string, log: Log, signal: AbortSignal): Promise<void> {
  const stalled = new AbortController();
  const over = AbortSignal.any([signal, stalled.signal]);
  let lastNews = performance.now();
  const watch = setInterval(() => {
    if (performance.now() - lastNews < STALL_MS) return;
    stalled.abort(new Error(`nothing came for ${STALL_MS / 1000} s`));
  }, 1000);
  try {
    const tagged = /[:@][^/]*$/.test(name) ? name : `${name}:latest`; // without a tag an engine pulls every one there is
    const answer = (await engine.docker.pull(tagged, { abortSignal: over })) as Readable;
    const layers = new Layers(name, log);
    for await (const line of jsonLines<Progress>(answer, over)) {
      lastNews = performance.now();
      if (line.error) throw new Error(line.error);
      layers.note(line);
    }
  } catch (error) {
    throw stalled.signal.aborted ? stalled.signal.reason : error;
  } finally {
    clearInterval(watch);
  }
}

class Layers {
  readonly #bytes = new Map<string, { current: number; total: number }>();
  #told = performance.now();

  constructor(
    private readonly image: string,
    private readonly log: Log,
  ) {}

  note({ id, status, progressDetail }: Progress): void {
    const { current, total } = progressDetail ?? {};
    if (id && status === 'Downloading' && current !== undefined && total !== undefined)
      this.#bytes.set(id, { current, total });
    if (performance.now() - this.#told < TELL_MS) return;
    this.#told = performance.now();
    const sum = (of: 'current' | 'total') => [...this.#bytes.values()].reduce((all, layer) => all + layer[of], 0);
    const mib = (bytes: number) => Math.round(bytes / 1024 ** 2);
    this.log.info(
      { image: this.image, pulledMiB: mib(sum('current')), totalMiB: mib(sum('total')) },
      'pulling the image of ships',
    );
  }
}
