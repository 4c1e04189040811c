import { BLOCKED_V4, exceptionRules, REJECT, type NetworkException } from '../network-filter.js';

export interface FilterFacts {
  /** Of both tables. */
  readonly name: string;
  readonly bridge: string;
  /** At least one. */
  readonly subnets: readonly string[];
  readonly allow: readonly NetworkException[];
  /** Where the engine itself answers names on the bridge (Podman; Docker does it inside the container). */
  readonly resolvers: readonly string[];
  /** Addresses of this Bay on the bridge; none where Bay runs on the machine. */
  readonly bays: readonly string[];
  /** Addresses of others on the bridge that are no ships. */
  readonly others: readonly string[];
}

/** Stands for the machine's resolvers, which only the script that loads the rules sees. A line goes where there are none. */
export const RESOLVERS_HERE = '@resolvers@';

/**
 * What ships of a network may reach, as nftables reads it in the network namespace of the engine's machine: two tables of
 * our own, replaced as a whole. They only ever refuse; what they let pass the engine's own rules judge as before.
 *
 * One table judges what the bridge sends on to elsewhere and to the machine itself, one what it carries between two of its
 * own ports. Nobody but Bay opens a connection to a ship, and a ship opens none to anybody on the bridge. IPv6 is refused.
 *
 * Sets have no names: older nft programs, such as the machine's may be, crash over those that newer ones made.
 */
export function filterRules(facts: FilterFacts): string {
  const { name, bridge, subnets, allow } = facts;
  const own = among(subnets);
  const between = chain('between', betweenPorts(facts));
  const free = [...facts.bays, ...facts.others].map((address) => `ip saddr ${address} accept`);
  const resolvers = [...facts.resolvers.map((address) => dnsTo(address)), dnsTo(`{ ${RESOLVERS_HERE} }`)];
  return [
    ...anew('inet', name),
    ...between,
    ...chain('forward', [
      hook('forward'),
      `iifname != "${bridge}" accept`,
      `oifname "${bridge}" goto between`, // seen here too where the machine lets its IP filter judge bridges
      ...free,
      `meta nfproto ipv6 ${REJECT}`,
      'ct state established,related accept',
      ...exceptionRules(allow),
      ...resolvers,
      `ip daddr ${among([...BLOCKED_V4, ...subnets.filter((subnet) => !isBlocked(subnet))])} ${REJECT}`,
    ]),
    ...chain('input', [
      hook('input'),
      `iifname != "${bridge}" accept`,
      ...free,
      'ct state established,related accept',
      ...exceptionRules(allow),
      ...resolvers,
      REJECT,
    ]),
    '}',
    ...anew('bridge', name),
    ...between,
    // By addresses, since not every kernel can tell here which bridge it is; nobody on it can take another's address.
    ...chain('forward', [hook('forward'), `ip saddr ${own} ip daddr ${own} goto between`]),
    '}',
    '',
  ].join('\n');
}

/** Removes both tables. */
export const removalRules = (name: string): string =>
  ['inet', 'bridge'].flatMap((family) => [...anew(family, name).slice(0, -1), '']).join('\n');

/** Of two on one bridge. What opens no connection passes to Bay, so that no memory of connections is needed for it. */
function betweenPorts({ bays, others }: FilterFacts): string[] {
  const fromOthers = (to: readonly string[]) =>
    others.length > 0 && to.length > 0 ? [`ip saddr ${among(others)} ip daddr ${among(to)} accept`] : [];
  return [
    ...bays.map((address) => `ip saddr ${address} accept`),
    ...fromOthers([...bays, ...others]),
    ...bays.map((address) => `ip daddr ${address} tcp flags & (syn | ack) != syn accept`),
    'drop',
  ];
}

/** Replaces a table in one step, also one that is not there. */
const anew = (family: string, name: string): string[] => {
  const table = `table ${family} ${name}`;
  return [table, `delete ${table}`, `${table} {`];
};

const chain = (title: string, rules: readonly string[]): string[] => [
  `  chain ${title} {`,
  ...rules.map((rule) => `    ${rule}`),
  '  }',
];

const hook = (at: string): string => `type filter hook ${at} priority -10; policy accept;`;
const among = (addresses: readonly string[]): string => `{ ${addresses.join(', ')} }`;
const dnsTo = (to: string): string => `ip daddr ${to} meta l4proto { tcp, udp } th dport 53 accept`;
const isBlocked = (subnet: string): boolean => /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(subnet);
