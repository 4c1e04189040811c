import type { Probe, Result } from './probe.js';
import { openScene, type Scene, type Target } from './scene.js';

/** No probe takes longer; one that does is broken. */
const PROBE_TIMEOUT_MS = 180_000;

export interface RunOptions {
  /** Told of each as it ends. */
  readonly onResult?: (result: Result) => void;
}

/** Runs probes one after another in a scene of their own. */
export async function runProbes(target: Target, probes: readonly Probe[], options: RunOptions = {}): Promise<Result[]> {
  const scene = await openScene(target);
  try {
    const results: Result[] = [];
    for (const probe of probes) {
      const result = await runProbe(probe, scene);
      results.push(result);
      options.onResult?.(result);
    }
    return results;
  } finally {
    await scene.close();
  }
}

async function runProbe(probe: Probe, scene: Scene): Promise<Result> {
  const began = performance.now();
  const about = () => ({
    probe: probe.name,
    attempts: probe.attempts,
    seconds: Math.round((performance.now() - began) / 100) / 10,
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${PROBE_TIMEOUT_MS / 1000} s`)), PROBE_TIMEOUT_MS);
    });
    const finding = await Promise.race([probe.run(scene), tooLate]);
    return { ...about(), ...finding };
  } catch (error) {
    return { ...about(), verdict: 'broken', error: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
