import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod, V1Secret } from '@kubernetes/client-node';
import { isStatusError, StatusError } from '../../../proto/rpc/status-error.js';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import type { Ship } from '../../ships/ship.js';
import type { Endpoint, StartedShip, StartOptions } from '../driver.js';
import { agentReady } from '../agent-ready.js';
import { agentConfigFor } from './agent-config.js';
import { ensureClaim } from './claims.js';
import { createPod } from './create-pod.js';
import { lastClaimWarning, lastWarning } from './events.js';
import { isKubeError, KubeError, toDriverError } from './kube-error.js';
import { claimLabels, podName } from './names.js';
import type { Cluster } from './open-cluster.js';
import type { KubernetesDriverOptions } from './options.js';
import { CONFIG_KEY, isolationOf, podFor } from './pod-spec.js';
import { endOfChange, seenFirst, stateOf } from './pod-state.js';
import type { PodWatch } from './pod-watch.js';
import { readLogs } from './read-logs.js';
import { endpointOf, type ShipHandle } from './ship-handle.js';
import { removePod } from './stop-ship.js';

export interface StartShipDeps {
  readonly options: KubernetesDriverOptions;
  readonly cluster: Cluster;
  readonly watch: PodWatch;
  /** Of Isolation: what does not hold ships though it should. */
  readonly unenforced: readonly string[];
}

/** For the removal of what a failed start made: its caller waits, and whoever keeps ships ends once more what is left then. */
const UNDO_TIMEOUT_MS = 5_000;
const LAST_LINES = 10;
/** The watch tells within moments; a start that takes longer asks the server itself, each time after twice as long. */
const ASK_AFTER_MS = 5_000;

/**
 * Starts an incarnation: its claim, its Pod, and the Pod's Secret; answers when its agent can be dialled. Where it fails
 * nothing stays but the claim, which is the ship's data.
 *
 * @throws StatusError SHIP_START_FAILED with the cluster's own words, DRIVER_REFUSED, DRIVER_UNAVAILABLE
 */
export async function startShip(deps: StartShipDeps, ship: Ship, wanted: StartOptions): Promise<StartedShip> {
  const { signal } = wanted;
  signal.throwIfAborted();
  const { cluster, options, watch } = deps;
  if (options.podSecurity === 'restricted' && ship.maxSessionNum > 1) {
    const message = `KUBE_POD_SECURITY=restricted gives a ship one user: max_session_num must be 1, not ${ship.maxSessionNum}`;
    throw new StatusError('INVALID_ARGUMENT', message);
  }
  const name = podName(options.deploymentId, ship);
  const secretName = `${name}-${randomBytes(3).toString('hex')}`;
  const start: Start = { ship, wanted, name, secretName, words: 'the Pod is new' };
  try {
    return await begin(deps, start, signal);
  } catch (error) {
    const failure = await toStartError(deps, start, error, signal);
    await removePod(cluster, watch, start.name, AbortSignal.timeout(UNDO_TIMEOUT_MS)).catch((left: unknown) =>
      options.logger.warn({ shipId: ship.id, err: left }, 'the Pod of a start that failed may be left'),
    );
    throw failure;
  }
}

interface Start {
  readonly ship: Ship;
  readonly wanted: StartOptions;
  /** Of the Pod. */
  readonly name: string;
  /** Another one for each attempt: the cluster takes its time to remove the Secret of a Pod that is gone. */
  readonly secretName: string;
  /** What the cluster said last of how far it is. */
  words: string;
}

async function begin(deps: StartShipDeps, start: Start, signal: AbortSignal): Promise<StartedShip> {
  const { cluster, options } = deps;
  const { ship, name } = start;
  const limit = timeoutSignal(options.startTimeoutMs, signal);
  await deps.watch.ready();
  await ensureClaim(cluster, ship.id, options, signal);
  signal.throwIfAborted();
  const body = podFor(ship, start.secretName, options);
  const pod = await createPod(cluster, deps.watch, { shipId: ship.id, name, body }, options.logger, signal);
  await createSecret(deps, start, pod);
  signal.throwIfAborted();

  const address = await untilRunning(deps, start, limit);
  const handle: ShipHandle = { pod: name, shipId: ship.id, incarnation: ship.incarnation, address };
  start.words = 'its agent does not answer';
  await untilReady(deps, name, endpointOf(handle, options), limit);
  return {
    handle: { ...handle },
    isolation: isolationOf(ship, pod, options, deps.unenforced),
    containerId: name,
    ipAddress: address,
  };
}

/** Owned by the Pod, so that it goes with it, whoever deletes that and whatever becomes of Bay. */
async function createSecret({ cluster, options }: StartShipDeps, start: Start, pod: V1Pod) {
  const { ship, wanted, name, secretName } = start;
  const owner = { apiVersion: 'v1', kind: 'Pod', name, uid: pod.metadata?.uid ?? '' };
  const secret: V1Secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: secretName, labels: claimLabels(options.deploymentId, ship.id), ownerReferences: [owner] },
    immutable: true,
    stringData: { [CONFIG_KEY]: JSON.stringify(agentConfigFor(ship, wanted, options)) },
  };
  try {
    await cluster.client.request('POST', `/api/v1/namespaces/${cluster.namespace}/secrets`, { body: secret });
  } catch (error) {
    if (!isKubeError(error, 409)) throw error; // else the server had it, and the connection broke
  }
}

/** The Pod's address, once the agent's container runs. Fails at once where the Pod ends, or never will. */
async function untilRunning({ watch }: StartShipDeps, start: Start, signal: AbortSignal): Promise<string> {
  const judge = seenFirst((change) => {
    const end = endOfChange(change);
    if (end) throw new StatusError('SHIP_START_FAILED', end.reason);
    const state = change.pod && stateOf(change.pod);
    if (state?.kind !== 'waiting') return state?.kind === 'running' ? state.address : undefined;
    start.words = state.words;
    if (state.final) throw new StatusError('DRIVER_REFUSED', state.words);
    return undefined;
  });
  const seen = new AbortController();
  const within = AbortSignal.any([signal, seen.signal]);
  try {
    return await Promise.race([watch.until(start.name, judge, within), askingNowAndThen(watch, start.name, within)]);
  } finally {
    seen.abort(new Error('the Pod runs, or will not'));
  }
}

/** Sees to it that a watch whose connection died unseen does not cost a start. Never answers; rejects with the signal. */
async function askingNowAndThen(watch: PodWatch, name: string, signal: AbortSignal): Promise<never> {
  for (let afterMs = ASK_AFTER_MS; ; afterMs *= 2) {
    await sleep(afterMs, undefined, { signal, ref: false }).catch(() => signal.throwIfAborted());
    await watch.ask(name, signal).catch(() => signal.throwIfAborted()); // the wait goes on, and has an end of its own
  }
}

/** Answers when the agent does, and fails at once where the Pod ends before. */
async function untilReady({ watch }: StartShipDeps, name: string, endpoint: Endpoint, signal: AbortSignal) {
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const dead = watch.until(name, endOfChange, within).then((end) => {
    throw new StatusError('SHIP_START_FAILED', end.reason);
  });
  try {
    await Promise.race([agentReady(endpoint, within), dead]);
  } finally {
    over.abort(new Error('the ship is ready, or will not be'));
    dead.catch(() => undefined); // told by the race, or of no interest after it
  }
}

/** The failure with what the cluster and the agent said; the caller's own cancellation as it is. */
async function toStartError(deps: StartShipDeps, start: Start, error: unknown, signal: AbortSignal): Promise<unknown> {
  if (signal.aborted) return signal.reason;
  const { cluster, options } = deps;
  const { ship, name } = start;
  if (error instanceof KubeError) return toDriverError(`ship ${ship.id} did not start`, error);
  if (isStatusError(error) && error.reason !== 'SHIP_START_FAILED' && error.reason !== 'DRIVER_REFUSED') return error;
  const why = isStatusError(error)
    ? error.message
    : [`not ready within ${options.startTimeoutMs} ms`, start.words, ...(await warnings(deps, start))].join('; ');
  const said = await lastWords(cluster, name);
  const message = `ship ${ship.id} did not start: ${why}${said ? `; it wrote: ${said}` : ''}`;
  const reason = isStatusError(error) ? error.reason : 'SHIP_START_FAILED';
  return new StatusError(reason, message, {
    cause: error,
    ...(isStatusError(error) ? { details: error.details } : {}),
  });
}

async function warnings({ cluster, options }: StartShipDeps, { ship, name }: Start): Promise<string[]> {
  const all = [lastWarning(cluster, 'Pod', name), lastClaimWarning(cluster, options.deploymentId, ship.id)];
  return (await Promise.all(all)).filter((text) => text !== '');
}

async function lastWords(cluster: Cluster, pod: string): Promise<string> {
  let said = '';
  const options = { follow: false, tailLines: LAST_LINES, signal: AbortSignal.timeout(3_000) };
  try {
    for await (const text of readLogs(cluster, pod, options)) said += text;
  } catch {
    // they explain a failure that is told anyway
  }
  return said.trim();
}
