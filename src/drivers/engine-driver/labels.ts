import { createHash } from 'node:crypto';
import type { Ship } from '../../ships/ship.js';

/** On everything that the driver makes, so that it is found again whatever became of Bay. */
export const LABEL = {
  deployment: 'org.shipyard.deployment',
  ship: 'org.shipyard.ship-id',
  incarnation: 'org.shipyard.incarnation',
  /** Of a container that does one thing and ends: `helper`. */
  role: 'org.shipyard.role',
  /** Of a ship: its SHIP_NETWORK, which says how Bay reaches it. */
  network: 'org.shipyard.network',
} as const;

/** Labels of an image of ships; set by its Dockerfile. */
export const IMAGE_LABEL = {
  version: 'org.shipyard.ship.version',
  generation: 'org.shipyard.ship.generation',
} as const;

export function shipLabels(deploymentId: string, ship: Pick<Ship, 'id' | 'incarnation'>): Record<string, string> {
  return { [LABEL.deployment]: deploymentId, [LABEL.ship]: ship.id, [LABEL.incarnation]: `${ship.incarnation}` };
}

/** One name for an incarnation, so that the engine itself refuses to make it twice. */
export function containerName(deploymentId: string, ship: Pick<Ship, 'id' | 'incarnation'>): string {
  return `ship-${ship.id}-${ship.incarnation}-${digest(deploymentId).slice(0, 6)}`;
}

export const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The engine's filter for its lists. */
export const withLabels = (labels: Readonly<Record<string, string>>) => ({
  label: Object.entries(labels).map(([name, value]) => `${name}=${value}`),
});
