import type { V1ContainerStatus } from '@kubernetes/client-node';
import type { Inspection } from '../driver.js';
import { KILLED, OUT_OF_MEMORY, reasonOf } from '../end-reason.js';
import type { Pod, PodChange } from './pod-watch.js';

/** The container of the agent; a template may add others. */
export const SHIP_CONTAINER = 'ship';

/** What the cluster says of a Pod, in its own words. */
export type PodState =
  /** Its agent's container runs; the address may be dialled. */
  | { readonly kind: 'running'; readonly address: string }
  /** @property final whether it will never come to run */
  | { readonly kind: 'waiting'; readonly words: string; readonly final: boolean }
  | { readonly kind: 'ended'; readonly end: Gone };

type Gone = Extract<Inspection, { state: 'gone' }>;

/** Waiting for what only another Pod could have; the image's name or the node's policy will not change by themselves. */
const FINAL_REASONS = ['InvalidImageName', 'ErrImageNeverPull'];

export function stateOf(pod: Pod): PodState {
  const status = pod.status;
  const agent = status?.containerStatuses?.find(({ name }) => name === SHIP_CONTAINER);
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded' || agent?.state?.terminated) {
    return { kind: 'ended', end: endOf(pod) };
  }
  if (agent?.state?.running && status?.podIP) return { kind: 'running', address: status.podIP };
  const blocked = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].find(isBlocked);
  const { reason, message } = blocked?.state?.waiting ?? {};
  if (reason) return { kind: 'waiting', words: words(reason, message), final: FINAL_REASONS.includes(reason) };
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    return { kind: 'waiting', words: words(scheduled.reason, scheduled.message), final: false };
  }
  return { kind: 'waiting', words: `the Pod is ${status?.phase ?? 'new'}`, final: false };
}

/** How a Pod ended, also one that is no longer there; `undefined` stands for one of which nothing is known. */
export function endOf(pod: Pod | undefined): Gone {
  if (!pod) return gone('the cluster has no Pod of it');
  const { status, metadata } = pod;
  const node = status?.reason ? words(status.reason, status.message) : undefined;
  if (node !== undefined) return gone(node);
  const disruption = status?.conditions?.find(({ type, status: so }) => type === 'DisruptionTarget' && so === 'True');
  if (disruption) return gone(words(disruption.reason, disruption.message));
  if (metadata?.deletionTimestamp) return gone('its Pod was deleted');
  const end = status?.containerStatuses?.find(({ name }) => name === SHIP_CONTAINER)?.state?.terminated;
  if (!end) return gone(initFailure(pod) ?? 'its Pod was deleted');
  // containerd says OOMKilled also of a container that ended by itself, long after a process of it was killed.
  if (end.reason === 'OOMKilled' && end.exitCode === KILLED) {
    return { ...gone(`OOMKilled: ${OUT_OF_MEMORY}`), oom: true };
  }
  const said = end.reason && !['Error', 'Completed', 'OOMKilled'].includes(end.reason);
  return gone(said ? words(end.reason, end.message) : reasonOf(end.exitCode));
}

/** Of a container that a template runs before the agent's. */
function initFailure({ status }: Pod): string | undefined {
  const failed = status?.initContainerStatuses?.find(
    ({ state }) => state?.terminated && state.terminated.exitCode !== 0,
  );
  const end = failed?.state?.terminated;
  return end && words(`init container ${failed?.name} ended with exit code ${end.exitCode}`, end.message);
}

/**
 * Whether the cluster has lost sight of a Pod that ran: only the controller of nodes calls one unready whose containers are
 * ready.
 */
export function isOutOfSight({ status }: Pod): boolean {
  const is = (wanted: string) => status?.conditions?.find(({ type }) => type === wanted)?.status;
  return is('Ready') === 'False' && is('ContainersReady') === 'True';
}

/** A judge that first waits until the Pod is seen: the watch may be a moment behind its creation. */
export function seenFirst<T>(judge: (change: PodChange) => T | undefined): (change: PodChange) => T | undefined {
  let seen = false;
  return (change) => {
    seen ||= change.pod !== undefined;
    return seen ? judge(change) : undefined;
  };
}

export function endOfChange(change: PodChange): Gone | undefined {
  if (!change.pod) return endOf(change.last);
  const state = stateOf(change.pod);
  return state.kind === 'ended' ? state.end : undefined;
}

const gone = (reason: string): Gone => ({ state: 'gone', reason });

/** Kubernetes says both, the reason as one word for programs. */
const words = (reason: string | undefined, message: string | undefined): string =>
  [reason, message?.trim().replaceAll(/\s+/g, ' ')].filter(Boolean).join(': ');

/** On the way to run, containers wait for a moment with one of these. */
const isBlocked = ({ state }: V1ContainerStatus): boolean =>
  state?.waiting?.reason !== undefined && !['ContainerCreating', 'PodInitializing'].includes(state.waiting.reason);
