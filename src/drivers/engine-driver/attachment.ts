import { readFileSync } from 'node:fs';
import type { Engine } from './engine.js';
import type { ShipNetwork } from './network.js';
import type { NetworkPolicy } from './network-policy.js';
import { isOnHost, type EngineDriverOptions } from './options.js';

/**
 * How a ship comes to its network, and Bay to the ship.
 *
 * - none: to no network. Bay dials a socket in the ship's folder.
 * - port: with its container. Bay dials a port of the machine, on 127.0.0.1.
 * - address: with its container. Bay dials the ship's own address.
 * - late: while its agent starts (late-join.ts). Bay dials the ship's own address.
 */
export type Attachment = 'none' | 'port' | 'address' | 'late';

/** Of a container that has the machine's own kernel. One with a kernel inside takes the interfaces that its start finds. */
const SEES_NEW_INTERFACES = /^(runc|crun|io\.containerd\.runc\.v\d+)$/;

/** The quickest that this engine can, as far as Bay then reaches the ship. */
export function attachmentFor(
  place: {
    readonly engine: Pick<Engine, 'kind' | 'defaultRuntime'>;
    readonly policy: Pick<NetworkPolicy, 'network'>;
    readonly shipNetwork: Pick<ShipNetwork, 'bridge' | 'incarnation' | 'ipv6'>;
    /** Whether the engine may be asked to put a ship on its network late. */
    readonly late: boolean;
  },
  { mode, runtime }: Pick<EngineDriverOptions, 'mode' | 'runtime'>,
  routes?: string,
): Attachment {
  const { engine, policy, shipNetwork, late } = place;
  if (policy.network === 'none') return 'none';
  if (isOnHost(mode) && !isBridgeHere(shipNetwork, routes)) return 'port';
  if (engine.kind !== 'docker') return 'address'; // Podman puts no container that has no network on one
  if (shipNetwork.ipv6) return 'address'; // Docker switches it on for an interface that comes late, whatever was set before
  return late && SEES_NEW_INTERFACES.test(runtime ?? engine.defaultRuntime ?? '') ? 'late' : 'address';
}

/**
 * Whether what is on a network is reached over its bridge, which is an interface here then. Docker calls it after the
 * network's id, which no other network anywhere has. Other names say nothing: Podman's repeat on every machine, and an
 * engine without root, or in a virtual machine, has interfaces of its own.
 *
 * @param routes a file as the kernel writes it: a line for each IPv4 route, with the interface first
 */
function isBridgeHere(
  { bridge, incarnation }: Pick<ShipNetwork, 'bridge' | 'incarnation'>,
  routes = '/proc/self/net/route',
): boolean {
  if (bridge !== `br-${incarnation.slice(0, 12)}`) return false;
  try {
    return readFileSync(routes, 'utf8').includes(`\n${bridge}\t`);
  } catch {
    return false; // no Linux
  }
}
