import type { NetworkException } from '../network-filter.js';
import type { Engine } from './engine.js';
import { engineTrouble } from './engine-error.js';
import { filterRules, removalRules, RESOLVERS_HERE } from './filter-rules.js';
import { runHelper } from './helper-container.js';
import { digest } from './labels.js';
import { listMembers, type ShipNetwork } from './network.js';

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
  const problem = await setFilter(deps, signal);
  if (problem === undefined) {
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

/** Puts the machine's resolvers, which ships may ask on port 53, into the rules, and loads them in one step. */
const LOAD = `servers=$(sed -n 's/^nameserver \\([0-9.]*\\)$/\\1/p' /etc/resolv.conf | paste -sd, -)
printf '%s\\n' "$1" | sed "\${servers:+s/${RESOLVERS_HERE}/$servers/};/${RESOLVERS_HERE}/d" | nft -f -`;

/** Sets the rules anew, whatever was there. @returns why it cannot be, or undefined */
export async function setFilter(deps: PolicyDeps, signal: AbortSignal): Promise<string | undefined> {
  const { engine, shipNetwork, allow, bayContainerId } = deps;
  if (engine.rootless) return `${engine.kind} without root may not set rules on this machine`;
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
    await runNft(deps, 'setting the network filter', LOAD, [rules], signal);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return engineTrouble(error);
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
const filterName = ({ engine, shipNetwork }: FilterDeps): string =>
  digest(`${engine.kind} ${engine.storage} ${shipNetwork.name}`).slice(0, 8);

async function runNft(
  deps: FilterDeps,
  doing: string,
  script: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { engine, image, deploymentId } = deps;
  await runHelper(
    engine,
    { doing, image, deploymentId, script, args, capabilities: ['NET_ADMIN'], network: 'host' },
    signal,
  );
}
