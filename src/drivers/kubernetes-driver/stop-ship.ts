import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { isNotFound } from './kube-error.js';
import type { Cluster } from './open-cluster.js';
import type { PodWatch } from './pod-watch.js';

/** From TERM to KILL. Bay has asked the agent before, and 0 would free the name while the containers still run. */
const GRACE_SECONDS = 1;
/** How long the watch may take to tell of a deletion before the server itself is asked. */
const ASK_AFTER_MS = 5_000;

/**
 * Deletes a Pod, and answers when its containers have ended and its name is free. Its Secret goes with it. Safe to repeat,
 * and when it is gone.
 */
export async function removePod(
  { client }: Cluster,
  watch: PodWatch,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const path = `${watch.path}/${name}`;
  const seen = new AbortController();
  const gone = untilDeleted(watch, name, AbortSignal.any([signal, seen.signal]));
  try {
    const query = { gracePeriodSeconds: GRACE_SECONDS };
    const answer = await client.request<V1Pod & { kind: string }>('DELETE', path, { query, signal });
    if (answer.kind !== 'Pod') return; // it is a Status: nothing of it was running
    while (!(await Promise.race([gone, sleep(ASK_AFTER_MS, false, { signal })]))) {
      await client.request('GET', path, { signal });
    }
  } catch (error) {
    if (!isNotFound(error, name)) throw error;
  } finally {
    seen.abort(new Error('the Pod is gone'));
    gone.catch(() => undefined);
  }
}

/** Counts only a deletion that is told from now on, so that a watch that lags behind the creation does not mislead. */
function untilDeleted(watch: PodWatch, name: string, signal: AbortSignal): Promise<true> {
  let first = true;
  return watch.until(
    name,
    (change) => {
      const asked = first;
      first = false;
      return !asked && !change.pod ? true : undefined;
    },
    signal,
  );
}
