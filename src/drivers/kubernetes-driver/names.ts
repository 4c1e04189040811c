import { createHash } from 'node:crypto';
import type { Ship } from '../../ships/ship.js';

/** On everything that the driver makes, so that it is found again whatever became of Bay. */
export const LABEL = {
  managedBy: 'app.kubernetes.io/managed-by',
  component: 'app.kubernetes.io/component',
  /** A digest of the deployment's id. */
  deployment: 'shipyard.org/deployment',
  /** The name of the ship's claim: one for each ship. */
  ship: 'shipyard.org/ship',
  incarnation: 'shipyard.org/incarnation',
  /** SHIP_NETWORK, for NetworkPolicies to select by. */
  network: 'shipyard.org/network',
} as const;

/** The ship's id as it is; a label could not hold every one. */
export const SHIP_ID_ANNOTATION = 'shipyard.org/ship-id';

type Life = Pick<Ship, 'id' | 'incarnation'>;

/**
 * The name of a ship's claim: readable, and no other ship's of any deployment. With an incarnation of ten digits it still
 * fits the 63 characters of a label.
 */
export function shipName(deploymentId: string, shipId: string): string {
  const readable = shipId
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 36)
    .replace(/^-+|-+$/g, '');
  return ['ship', ...(readable ? [readable] : []), digest(`${deploymentId}\n${shipId}`)].join('-');
}

/** One name for an incarnation, so that the API server itself refuses to make it twice. */
export function podName(deploymentId: string, ship: Life): string {
  return `${shipName(deploymentId, ship.id)}-${ship.incarnation}`;
}

export function claimLabels(deploymentId: string, shipId: string): Record<string, string> {
  return { ...deploymentLabels(deploymentId), [LABEL.ship]: shipName(deploymentId, shipId) };
}

export function podLabels(deploymentId: string, ship: Life, network: string): Record<string, string> {
  return {
    ...claimLabels(deploymentId, ship.id),
    [LABEL.incarnation]: `${ship.incarnation}`,
    [LABEL.network]: network,
  };
}

/** Selects all Pods of a deployment. */
export function deploymentSelector(deploymentId: string): string {
  const labels = deploymentLabels(deploymentId);
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

function deploymentLabels(deploymentId: string): Record<string, string> {
  return {
    [LABEL.managedBy]: 'shipyard',
    [LABEL.component]: 'ship',
    [LABEL.deployment]: digest(deploymentId),
  };
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 10);
