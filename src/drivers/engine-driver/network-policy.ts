import type { NetworkException } from '../network-filter.js';
import type { Engine } from './engine.js';
import { engineTrouble } from './engine-error.js';
import { filterRules, removalRules, RESOLVERS_HERE } from './filter-rules.js';
import { runHelper } from './helper-container.js';
import { digest } from './labels.js';
import { listMembers, listNetworks, type ShipNetwork } from './network.js';

export interface NetworkPolicy {
  readonly network: 'none' | 'internet' | 'open';
  /** Whether the filter of `internet` is in force. */
  readonly filtered: boolean;
  /** Of Isolation: why not, where it should be. */
  readonly missing: readonly string[];
  readonly warnings: readonly string[];
}

export interface PolicyDeps {
  readonly engine: Engine;
  readonly image: string;
  readonly deploymentId: string;
  readonly shipNetwork: ShipNetwork;
  readonly allow: readonly NetworkException[];
  /** This Bay's container, where it is in one. */
  readonly bayContainerId?: string;
}

/** Brings in force what was asked for, as far as this engine can, and says what it cannot. */
export async function applyNetworkPolicy(
  deps: PolicyDeps,
  asked: 'none' | 'internet' | 'open' | undefined,
  signal: AbortSignal,
): Promise<NetworkPolicy> {
  if (asked === 'none') return { network: 'none', filtered: false, missing: [], warnings: [] };
  if (asked === 'open') {
    if (!deps.engine.rootless) await removeFilter(deps, signal);
    const warnings = ['SHIP_NETWORK=open: ships reach each other and all that this machine reaches, without a filter'];
    return { network: 'open', filtered: false, missing: [], warnings };
  }
  const { problem, tables } = await setFilter(deps, signal);
  if (problem === undefined) {
    await sweepFilters(deps, tables, signal);
    const ignored = deps.allow.filter(({ family }) => family === 6).map(({ cidr }) => cidr);
    const warnings = ignored.map((cidr) => `ships have no IPv6 here: SHIP_NETWORK_ALLOW of ${cidr} does nothing`);
    return { network: 'internet', filtered: true, missing: [], warnings };
  }
  if (asked === 'internet') {
    const missing = [`network filter: ${problem}`];
    const warning = `SHIP_NETWORK=internet without its filter, so that ships reach each other and private networks: ${problem}`;
    return { network: 'internet', filtered: false, missing, warnings: [warning] };
  }
  const warning = `ships have no network, since it cannot be filtered (${problem}); SHIP_NETWORK=internet gives them one without a filter`;
  return { network: 'none', filtered: false, missing: [], warnings: [warning] };
}

/** Prints what tables there are, puts the machine's resolvers, which ships may ask on port 53, into the rules, and loads them in one step. */
const LOAD = `nft --json --handle list tables
servers=$(sed -n 's/^nameserver \\([0-9.]*\\)$/\\1/p' /etc/resolv.conf | paste -sd, -)
printf '%s\\n' "$1" | sed "\${servers:+s/${RESOLVERS_HERE}/$servers/};/${RESOLVERS_HERE}/d" | nft -f -`;

interface FilterOutcome {
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

/** Sets the rules anew, whatever was there. */
export async function setFilter(deps: PolicyDeps, signal: AbortSignal): Promise<FilterOutcome> {
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

type FilterDeps = Pick<PolicyDeps, 'engine' | 'image' | 'deploymentId'> & {
  readonly shipNetwork: Pick<ShipNetwork, 'name'>;
};

export async function removeFilter(deps: FilterDeps, signal: AbortSignal): Promise<void> {
  await runNft(
    deps,
    'removing the network filter',
    `printf '%s\\n' "$1" | nft -f -`,
    [removalRules(filterName(deps))],
    signal,
  );
}

/** One for each network of each engine on a machine. */
const filterName = ({ engine, shipNetwork: { name } }: FilterDeps): string => `${engineMark(engine)}_${mark(name)}`;
const engineMark = ({ kind, storage }: Engine): string => mark(`${kind} ${storage}`);
const mark = (text: string): string => digest(text).slice(0, 8);

function toTables(said: string): Table[] {
  const line = said.split('\n').find((text) => text.startsWith('{"nftables"')) ?? '{"nftables":[]}';
  const { nftables } = JSON.parse(line) as { nftables: readonly { readonly table?: Table }[] };
  return nftables.flatMap(({ table }) => table ?? []);
}

/**
 * Removes the filters of networks that this engine does not have any more. Tables were looked at before networks, and are
 * removed by handle, so that whoever makes such a network again just now keeps its new filter.
 */
async function sweepFilters(deps: PolicyDeps, tables: readonly Table[], signal: AbortSignal): Promise<void> {
  const ours = `shipyard_${engineMark(deps.engine)}_`;
  const kept = new Set((await listNetworks(deps.engine, signal)).map((name) => `${ours}${mark(name)}`));
  const old = tables.filter(({ name }) => name.startsWith(ours) && !kept.has(name));
  if (old.length === 0) return;
  const removals = old.map(({ family, handle }) => `nft delete table ${family} handle ${handle} || true`);
  await runNft(deps, 'removing old network filters', removals.join('\n'), [], signal);
}

async function runNft(
  deps: FilterDeps,
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
