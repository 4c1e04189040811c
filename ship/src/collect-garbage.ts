import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of short-lived buffers that may pile up: V8 itself waits for 64 MiB and more of them. */
const COLLECT_BYTES = 4 * 1024 * 1024;
/**
 * How much the heap with its buffers may grow before all of it is marked. V8 itself does so for every 8 MB of output, which
 * takes nearly a third of the agent's work on it; so it does for every 55 MB, and 3 to 9 MiB more are resident meanwhile.
 */
const GROWING_PERCENT = 150;

/**
 * Keeps the agent small while much output passes: V8 does not count the buffers behind its small objects when it decides
 * to scavenge, so that 200 MB of output would leave 50 MiB resident in every ship.
 *
 * @returns a function that is told of bytes in buffers as they pass; now and then it takes a millisecond
 */
export function createCollector(): (bytes: number) => void {
  let collect: ((options: { type: 'minor' }) => void) | undefined;
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    if (passed < COLLECT_BYTES) return;
    passed = 0;
    collect ??= openCollector();
    collect({ type: 'minor' });
  };
}

function openCollector(): (options: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc');
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`);
  return runInNewContext('gc') as (options: { type: 'minor' }) => void;
}
