import { StatusError } from '../../../proto/rpc/status-error.js';
import { callEngine } from './call-engine.js';
import { bounded, type Engine } from './engine.js';
import { isNotThere, toDriverError } from './engine-error.js';
import { LABEL } from './labels.js';

/** The bridge on which ships are. */
export interface ShipNetwork {
  readonly name: string;
  /** Another one for each network that is made under the name. */
  readonly incarnation: string;
  /** The bridge's interface on the engine's machine. */
  readonly bridge: string;
  /** Whether it has IPv6 as well. */
  readonly ipv6: boolean;
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
  const there = await findNetwork(engine, name, signal);
  if (there) return there;
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
  const made = await findNetwork(engine, name, signal); // where it failed, another Bay may have made it
  if (made) return made;
  throw failure ?? new StatusError('DRIVER_REFUSED', `${engine.kind} made the network ${name} and does not have it`);
}

/** @returns undefined where it is not there. @throws StatusError DRIVER_REFUSED where it is of another kind */
export async function findNetwork(engine: Engine, name: string, signal: AbortSignal): Promise<ShipNetwork | undefined> {
  let found: DockerNetwork | PodmanNetwork;
  try {
    const path =
      engine.kind === 'podman' ? `${LIBPOD}/${encodeURIComponent(name)}/json` : `/networks/${encodeURIComponent(name)}`;
    found = await callEngine(engine, { method: 'GET', path, answer: 'json', signal: bounded(signal) });
  } catch (error) {
    signal.throwIfAborted();
    if (isNotThere(error)) return undefined;
    throw toDriverError(engine, `looking at the network ${name}`, error);
  }
  const { driver, ...network } = 'Id' in found ? fromDocker(found) : fromPodman(found);
  if (driver === 'bridge') return network;
  const message = `the network ${name} is of the kind ${driver}: ships need a bridge; set DOCKER_NETWORK to another name`;
  throw new StatusError('DRIVER_REFUSED', message);
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

/** All networks of the engine. */
export async function listNetworks(
  engine: Engine,
  signal: AbortSignal,
): Promise<Pick<ShipNetwork, 'name' | 'incarnation'>[]> {
  const path = engine.kind === 'podman' ? `${LIBPOD}/json` : '/networks';
  const call = { method: 'GET', path, answer: 'json', signal: bounded(signal) } as const;
  try {
    const found = await callEngine<readonly (DockerNetwork | PodmanNetwork)[]>(engine, call);
    return found.map((one) => ('Id' in one ? fromDocker(one) : fromPodman(one)));
  } catch (error) {
    signal.throwIfAborted();
    throw toDriverError(engine, 'looking for networks', error);
  }
}

/** Podman tells the name of its bridge in its own interface only. */
const LIBPOD = '/v4.0.0/libpod/networks';

/** As much of the engines' answers as is used. */
interface DockerNetwork {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly EnableIPv6?: boolean;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string; readonly Gateway?: string }[] | null };
}

interface PodmanNetwork {
  /** The same for each network of the name. */
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly driver: string;
  readonly network_interface?: string;
  readonly ipv6_enabled?: boolean;
  readonly subnets?: readonly { readonly subnet: string; readonly gateway?: string }[] | null;
}

type FoundNetwork = ShipNetwork & { readonly driver: string };

function fromDocker({ Id, Name, Driver, EnableIPv6 = false, Options, IPAM }: DockerNetwork): FoundNetwork {
  const ranges = (IPAM?.Config ?? []).filter(({ Subnet }) => Subnet?.includes('.'));
  return {
    name: Name,
    incarnation: Id,
    driver: Driver,
    ipv6: EnableIPv6,
    bridge: Options?.['com.docker.network.bridge.name'] ?? `br-${Id.slice(0, 12)}`,
    subnets: ranges.map(({ Subnet }) => Subnet ?? ''),
    gateways: ranges.flatMap(({ Gateway }) => (Gateway ? [Gateway] : [])),
  };
}

function fromPodman({
  id,
  name,
  created,
  driver,
  network_interface: bridge = '',
  ipv6_enabled: ipv6 = false,
  subnets,
}: PodmanNetwork): FoundNetwork {
  const ranges = (subnets ?? []).filter(({ subnet }) => subnet.includes('.'));
  return {
    name,
    incarnation: `${id} ${created}`,
    driver,
    ipv6,
    bridge,
    subnets: ranges.map(({ subnet }) => subnet),
    gateways: ranges.flatMap(({ gateway }) => (gateway ? [gateway] : [])),
  };
}
