import { existsSync } from 'node:fs';
import path from 'node:path';
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
    readonly shipNetwork: Pick<ShipNetwork, 'bridge' | 'incarnation'>;
  },
  { mode, runtime }: Pick<EngineDriverOptions, 'mode' | 'runtime'>,
  interfaces?: string,
): Attachment {
  const { engine, policy, shipNetwork } = place;
  if (policy.network === 'none') return 'none';
  if (isOnHost(mode) && !isBridgeHere(shipNetwork, interfaces)) return 'port';
  const sees = SEES_NEW_INTERFACES.test(runtime ?? engine.defaultRuntime ?? '');
  return engine.kind === 'docker' && sees ? 'late' : 'address'; // Podman puts no container that has no network on one
}

/**
 * Whether a network's bridge is an interface here, so that this process reaches what is on it. Docker calls it after the
 * network's id, which no other network anywhere has. Other names say nothing: Podman's repeat on every machine, and an
 * engine without root, or in a virtual machine, has interfaces of its own.
 */
const isBridgeHere = (
  { bridge, incarnation }: Pick<ShipNetwork, 'bridge' | 'incarnation'>,
  interfaces = '/sys/class/net',
): boolean => bridge === `br-${incarnation.slice(0, 12)}` && existsSync(path.join(interfaces, bridge));
