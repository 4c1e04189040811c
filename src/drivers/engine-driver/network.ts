import type Docker from 'dockerode';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { callEngine } from './call-engine.js';
import { bounded, type Engine } from './engine.js';
import { isNotThere, toDriverError } from './engine-error.js';
import { LABEL } from './labels.js';

/** The bridge on which ships are. */
export interface ShipNetwork {
  readonly id: string;
  readonly name: string;
  /** The bridge's interface on the engine's machine. */
  readonly bridge: string;
  /** IPv4 networks of it, and the machine's own address in each. */
  readonly subnets: readonly string[];
  readonly gateways: readonly string[];
}

/** Finds the network of ships, or makes it. @throws StatusError DRIVER_REFUSED where it is of another kind */
export async function ensureNetwork(
  engine: Engine,
  name: string,
  deploymentId: string,
  signal: AbortSignal,
): Promise<ShipNetwork> {
  const there = await inspectNetwork(engine, name, signal);
  if (there) return toShipNetwork(engine, there, signal);
  let failure: StatusError | undefined;
  try {
    await engine.docker.createNetwork({
      Name: name,
      Driver: 'bridge',
      EnableIPv6: false,
      Labels: { [LABEL.deployment]: deploymentId },
      abortSignal: bounded(signal),
    });
  } catch (error) {
    signal.throwIfAborted();
    failure = toDriverError(engine, `making the network ${name}`, error);
  }
  const made = await inspectNetwork(engine, name, signal); // where it failed, another Bay may have made it
  if (made) return toShipNetwork(engine, made, signal);
  throw failure ?? new StatusError('DRIVER_REFUSED', `${engine.kind} made the network ${name} and does not have it`);
}

export interface NetworkMember {
  readonly containerId: string;
  readonly address: string;
}

/** Containers on the network just now, those of ships included. */
export async function listMembers(engine: Engine, network: ShipNetwork, signal: AbortSignal): Promise<NetworkMember[]> {
  const containers = await engine.docker
    .listContainers({ filters: { network: [network.name] }, abortSignal: bounded(signal) })
    .catch((error: unknown) => {
      throw toDriverError(engine, `looking who is on the network ${network.name}`, error);
    });
  return containers
    .filter(({ Labels }) => Labels?.[LABEL.ship] === undefined)
    .map(({ Id, NetworkSettings }) => ({
      containerId: Id,
      address: NetworkSettings?.Networks?.[network.name]?.IPAddress ?? '',
    }))
    .filter(({ address }) => address !== '');
}

/** Names of all networks of the engine. */
export async function listNetworks(engine: Engine, signal: AbortSignal): Promise<string[]> {
  const call = { method: 'GET', path: '/networks', answer: 'json', signal: bounded(signal) } as const;
  try {
    return (await callEngine<readonly { Name: string }[]>(engine, call)).map(({ Name }) => Name);
  } catch (error) {
    signal.throwIfAborted();
    throw toDriverError(engine, 'looking for networks', error);
  }
}

async function inspectNetwork(
  engine: Engine,
  name: string,
  signal: AbortSignal,
): Promise<Docker.NetworkInspectInfo | undefined> {
  try {
    const path = `/networks/${encodeURIComponent(name)}`;
    return await callEngine(engine, { method: 'GET', path, answer: 'json', signal: bounded(signal) });
  } catch (error) {
    signal.throwIfAborted();
    if (isNotThere(error)) return undefined;
    throw toDriverError(engine, `looking at the network ${name}`, error);
  }
}

async function toShipNetwork(
  engine: Engine,
  found: Docker.NetworkInspectInfo,
  signal: AbortSignal,
): Promise<ShipNetwork> {
  if (found.Driver !== 'bridge') {
    const message = `the network ${found.Name} is of the kind ${found.Driver}: ships need a bridge; set DOCKER_NETWORK to another name`;
    throw new StatusError('DRIVER_REFUSED', message);
  }
  const ranges = (found.IPAM?.Config ?? []).filter(({ Subnet }) => Subnet?.includes('.'));
  const subnets = ranges.map(({ Subnet }) => Subnet ?? '');
  const gateways = ranges.flatMap(({ Gateway }) => (Gateway ? [Gateway] : []));
  const bridge = engine.kind === 'podman' ? await podmanBridge(engine, found.Name, signal) : dockerBridge(found);
  return { id: found.Id, name: found.Name, bridge, subnets, gateways };
}

const dockerBridge = ({ Id, Options }: Docker.NetworkInspectInfo): string =>
  Options?.['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}`;

/** Podman tells the name of its bridge in its own interface only. */
async function podmanBridge(engine: Engine, name: string, signal: AbortSignal): Promise<string> {
  const path = `/v4.0.0/libpod/networks/${encodeURIComponent(name)}/json`;
  const call = { method: 'GET', path, answer: 'json', signal: bounded(signal) } as const;
  const { network_interface: bridge } = await callEngine<{ network_interface: string }>(engine, call);
  return bridge;
}
