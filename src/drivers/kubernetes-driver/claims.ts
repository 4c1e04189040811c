import { setTimeout as sleep } from 'node:timers/promises';
import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import { createOrUndo } from './create-or-undo.js';
import { isKubeError, isNotFound } from './kube-error.js';
import { claimLabels, shipName, SHIP_ID_ANNOTATION } from './names.js';
import type { Cluster } from './open-cluster.js';
import type { KubernetesDriverOptions } from './options.js';

const PAUSE_MS = [50, 100, 200, 500, 1000];

export const claimsPath = ({ namespace }: Cluster): string => `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;

/**
 * Makes the ship's claim where it is not there. One that was given up is waited for: its name is free when the Pod that
 * used it has ended.
 */
export async function ensureClaim(
  cluster: Cluster,
  shipId: string,
  options: KubernetesDriverOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await createClaim(cluster, shipId, options, signal);
    } catch (error) {
      if (!isKubeError(error, 409)) throw error;
    }
    if (await hasClaim(cluster, shipId, options)) return;
    await sleep(PAUSE_MS[Math.min(attempt, PAUSE_MS.length - 1)], undefined, { signal });
  }
}

/**
 * One that comes when nobody waits for it any more is given up: nothing else would ever find it.
 *
 * @throws the signal's reason at once; StatusError DRIVER_UNAVAILABLE where the server takes too long
 */
export async function createClaim(
  cluster: Cluster,
  shipId: string,
  options: KubernetesDriverOptions,
  signal: AbortSignal,
  waitMs?: number,
): Promise<void> {
  const undo = () => removeClaim(cluster, shipId, options);
  const wanted = { path: claimsPath(cluster), body: claimFor(shipId, options), what: 'claim', shipId, undo, waitMs };
  await createOrUndo(cluster, wanted, options.logger, signal);
}

/** Whether it is there and not given up. */
export async function hasClaim(
  cluster: Cluster,
  shipId: string,
  { deploymentId }: Pick<KubernetesDriverOptions, 'deploymentId'>,
): Promise<boolean> {
  const name = shipName(deploymentId, shipId);
  try {
    const claim = await cluster.client.request<V1PersistentVolumeClaim>('GET', `${claimsPath(cluster)}/${name}`);
    return claim.metadata?.deletionTimestamp === undefined;
  } catch (error) {
    if (isNotFound(error, name)) return false;
    throw error;
  }
}

/** Gives the claim up, and with it the volume; the cluster removes both once no Pod uses them. Safe to repeat. */
export async function removeClaim(
  cluster: Cluster,
  shipId: string,
  { deploymentId }: Pick<KubernetesDriverOptions, 'deploymentId'>,
): Promise<void> {
  const name = shipName(deploymentId, shipId);
  try {
    await cluster.client.request('DELETE', `${claimsPath(cluster)}/${name}`);
  } catch (error) {
    if (!isNotFound(error, name)) throw error;
  }
}

export function claimFor(shipId: string, options: KubernetesDriverOptions): V1PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: shipName(options.deploymentId, shipId),
      labels: claimLabels(options.deploymentId, shipId),
      annotations: { [SHIP_ID_ANNOTATION]: shipId },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(options.storageClass === undefined ? {} : { storageClassName: options.storageClass }),
      resources: { requests: { storage: options.storageSize } },
    },
  };
}
