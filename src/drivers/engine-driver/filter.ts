import { StatusError } from '../../../proto/rpc/status-error.js';
import { bounded, type Engine } from './engine.js';
import { engineTrouble, toDriverError } from './engine-error.js';
import {
  filterName,
  isContrary,
  isForeign,
  isForsaken,
  ofDeployment,
  ofEngine,
  ofNetwork,
  type FilterSubject,
  type Inhabitants,
} from './filter-names.js';
import { filterRules, removalRules, RESOLVERS_HERE } from './filter-rules.js';
import { runHelper } from './helper-container.js';
import { LABEL } from './labels.js';
import { listMembers, listNetworks, type ShipNetwork } from './network.js';

/** What a filter is found by, and the image of the helper that does it. */
export interface FilterAccess extends FilterSubject {
  readonly image: string;
}

export interface FilterDeps extends FilterAccess {
  readonly shipNetwork: ShipNetwork;
}

export interface FilterOutcome {
  /** Why it cannot be set. */
  readonly problem?: string;
  /** What tables there were before. */
  readonly tables: readonly Table[];
}

/** As nft lists a table in JSON. */
interface Table {
  readonly family: string;
  readonly name: string;
  readonly handle: number;
}

const LIST = 'nft --json --handle list tables';
/** Prints what tables there are, puts the machine's resolvers, which ships may ask on port 53, into the rules, and loads them in one step. */
const LOAD = `${LIST}
servers=$(sed -n 's/^nameserver \\([0-9.]*\\)$/\\1/p' /etc/resolv.conf | paste -sd, -)
printf '%s\\n' "$1" | sed "\${servers:+s/${RESOLVERS_HERE}/$servers/};/${RESOLVERS_HERE}/d" | nft -f -`;

/**
 * Sets the filter where this Bay may have none yet, and removes what it had before and what networks that are gone have
 * left.
 *
 * @returns why it cannot be set
 * @throws StatusError DRIVER_REFUSED where another deployment has the network under other rules, which then stay alone
 */
export async function claimFilter(deps: FilterDeps, signal: AbortSignal): Promise<string | undefined> {
  const { problem, tables } = await setFilter(deps, signal);
  if (problem !== undefined) return problem;
  const { others, forsaken } = await foreignFilters(deps, tables, signal);
  if (!hasFilter(deps, tables) && others.some((name) => isContrary(name, deps))) {
    const script = `printf '%s\\n' "$1" | nft -f -`;
    await runNft(deps, 'removing the network filter', script, [removalRules(filterName(deps))], signal);
    throw contested(deps);
  }
  const isReplaced = (name: string) => name.startsWith(ofDeployment(deps)) && name !== filterName(deps);
  await sweepFilters(deps, tables, (name) => isReplaced(name) || forsaken.includes(name), signal);
  return undefined;
}

/**
 * Removes this deployment's filter of its network, for ships that are to be open.
 *
 * @throws StatusError DRIVER_REFUSED where another deployment filters the network: that stays
 */
export async function clearFilter(deps: FilterAccess, signal: AbortSignal): Promise<void> {
  const tables = toTables(await runNft(deps, 'listing network filters', LIST, [], signal));
  const { others, forsaken } = await foreignFilters(deps, tables, signal);
  if (others.length > 0) throw contested(deps);
  await sweepFilters(deps, tables, (name) => name.startsWith(ofDeployment(deps)) || forsaken.includes(name), signal);
}

/** Sets the rules anew, whatever was there. */
export async function setFilter(deps: FilterDeps, signal: AbortSignal): Promise<FilterOutcome> {
  const { engine, shipNetwork, allow, bayContainerId } = deps;
  if (engine.rootless) return { problem: `${engine.kind} without root may not set rules on this machine`, tables: [] };
  const members = await listMembers(engine, shipNetwork, signal);
  const isBay = (containerId: string) => bayContainerId !== undefined && containerId === bayContainerId;
  const rules = filterRules({
    name: filterName(deps),
    bridge: shipNetwork.bridge,
    subnets: shipNetwork.subnets,
    resolvers: engine.kind === 'podman' ? shipNetwork.gateways : [],
    allow,
    bays: members.filter((member) => isBay(member.containerId)).map(({ address }) => address),
    others: members.filter((member) => !isBay(member.containerId)).map(({ address }) => address),
  });
  try {
    return { tables: toTables(await runNft(deps, 'setting the network filter', LOAD, [rules], signal)) };
  } catch (error) {
    signal.throwIfAborted();
    return { problem: engineTrouble(error), tables: [] };
  }
}

/** Whether both tables of the filter are among these. */
export const hasFilter = (deps: FilterAccess, tables: readonly Table[]): boolean =>
  tables.filter(({ name }) => name === filterName(deps)).length === 2;

/** Names of what other deployments have on the network, and of what they have left there. */
async function foreignFilters(
  deps: FilterAccess,
  tables: readonly Table[],
  signal: AbortSignal,
): Promise<{ others: readonly string[]; forsaken: readonly string[] }> {
  const foreign = tables.map(({ name }) => name).filter((name) => isForeign(name, deps));
  if (foreign.length === 0) return { others: [], forsaken: [] };
  const inhabitants = await listInhabitants(deps.engine, signal);
  const forsaken = foreign.filter((name) => isForsaken(name, deps, inhabitants));
  return { others: foreign.filter((name) => !forsaken.includes(name)), forsaken };
}

async function listInhabitants({ docker, ...engine }: Engine, signal: AbortSignal): Promise<Inhabitants> {
  const containers = await docker
    .listContainers({ all: true, abortSignal: bounded(signal) })
    .catch((error: unknown) => {
      throw toDriverError(engine, 'looking whose network filters are in use', error);
    });
  const ships = containers.filter(({ Labels }) => Labels?.[LABEL.ship] !== undefined);
  return {
    ids: containers.map(({ Id }) => Id),
    deployments: ships.map(({ Labels }) => Labels[LABEL.deployment] ?? ''),
  };
}

function contested({ shipNetwork: { name } }: FilterAccess): StatusError {
  const message = `another deployment of Shipyard filters the network ${name} by other rules than this one's SHIP_NETWORK, SHIP_NETWORK_ALLOW or container ask for: set DOCKER_NETWORK to a name of its own, or remove the network where that deployment is no more`;
  return new StatusError('DRIVER_REFUSED', message);
}

function toTables(said: string): Table[] {
  const line = said.split('\n').find((text) => text.startsWith('{"nftables"')) ?? '{"nftables":[]}';
  const { nftables } = JSON.parse(line) as { nftables: readonly { readonly table?: Table }[] };
  return nftables.flatMap(({ table }) => table ?? []);
}

/**
 * Removes the tables that have no use any more, and those of networks that this engine does not have any more. Tables were
 * looked at before networks, and are removed by handle, so that whoever makes such a network again just now keeps its new
 * filter.
 */
async function sweepFilters(
  deps: FilterAccess,
  tables: readonly Table[],
  isUseless: (name: string) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const { engine } = deps;
  const kept = (await listNetworks(engine, signal)).map((network) => ofNetwork(engine, network));
  const isGone = (name: string) => name.startsWith(ofEngine(engine)) && !kept.some((prefix) => name.startsWith(prefix));
  const old = tables.filter(({ name }) => isUseless(name) || isGone(name));
  if (old.length === 0) return;
  const removals = old.map(({ family, handle }) => `nft delete table ${family} handle ${handle} || true`);
  await runNft(deps, 'removing old network filters', removals.join('\n'), [], signal);
}

async function runNft(
  deps: FilterAccess,
  doing: string,
  script: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const { engine, image, deploymentId } = deps;
  return runHelper(
    engine,
    { doing, image, deploymentId, script, args, capabilities: ['NET_ADMIN'], network: 'host' },
    signal,
  );
}
