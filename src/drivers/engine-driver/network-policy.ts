import { claimFilter, clearFilter, type FilterDeps } from './filter.js';

export interface NetworkPolicy {
  readonly network: 'none' | 'internet' | 'open';
  /** Whether the filter of `internet` is in force. */
  readonly filtered: boolean;
  /** Of Isolation: why not, where it should be. */
  readonly missing: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Brings in force what was asked for, as far as this engine can, and says what it cannot.
 *
 * @throws StatusError DRIVER_REFUSED where another deployment has the network under other rules
 */
export async function applyNetworkPolicy(
  deps: FilterDeps,
  asked: 'none' | 'internet' | 'open' | undefined,
  signal: AbortSignal,
): Promise<NetworkPolicy> {
  if (asked === 'none') return { network: 'none', filtered: false, missing: [], warnings: [] };
  if (asked === 'open') {
    if (!deps.engine.rootless) await clearFilter(deps, signal);
    const warnings = ['SHIP_NETWORK=open: ships reach each other and all that this machine reaches, without a filter'];
    return { network: 'open', filtered: false, missing: [], warnings };
  }
  const problem = await claimFilter(deps, signal);
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
