import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** An exception from the filter: SHIP_NETWORK_ALLOW's `CIDR[:port]`. */
export interface NetworkException {
  readonly cidr: string;
  readonly family: 4 | 6;
  readonly port?: number;
}

/** What `internet` keeps out of reach, beyond the machine's own addresses (decisions 23). */
const BLOCKED_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/3',
];

/** slirp4netns answers DNS here and asks the machine's own resolver. */
export const SLIRP_RESOLVER = '10.0.2.3';

/**
 * Parses SHIP_NETWORK_ALLOW: `CIDR[:port]`, comma-separated; IPv6 with a port as `[CIDR]:port`. A bare address counts
 * as a network of one.
 *
 * @throws Error naming the entry that is wrong
 */
export function parseNetworkAllow(text: string): NetworkException[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map(parseException);
}

function parseException(entry: string): NetworkException {
  const wrong = () => new Error(`not a CIDR[:port]: ${entry}`);
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<plain>[^[\]]+?))(?::(?<port>\d+))?$/.exec(
    isBareV6(entry) ? `[${entry}]` : entry,
  );
  const text = match?.groups?.v6 ?? match?.groups?.plain;
  if (text === undefined) throw wrong();

  const [address = '', length, ...rest] = text.split('/');
  const family = isIP(address);
  if ((family !== 4 && family !== 6) || rest.length > 0) throw wrong();
  const bits = length === undefined ? (family === 4 ? 32 : 128) : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (bits < 0 || bits > (family === 4 ? 32 : 128)) throw wrong();

  const port = match?.groups?.port === undefined ? undefined : Number(match.groups.port);
  if (port !== undefined && (port < 1 || port > 65_535)) throw wrong();
  return { cidr: `${address}/${bits}`, family, ...(port === undefined ? {} : { port }) };
}

/** `fd00::/8`: an IPv6 network without brackets cannot have a port. */
const isBareV6 = (entry: string) => !entry.startsWith('[') && isIP(entry.split('/')[0] ?? '') === 6;

/**
 * The filter inside a ship's network namespace, as nftables reads it. It judges what leaves; nothing comes in, since
 * slirp4netns forwards no port. The loopback is the ship's own. There is no IPv6 uplink, and its whole family is refused,
 * so that IPv4-mapped forms, which leave as IPv4, are the only way an IPv6 socket leads outside.
 */
export function networkRules(allow: readonly NetworkException[], machineAddresses: readonly string[]): string {
  const exceptions = allow
    .filter((exception) => exception.family === 4)
    .map(({ cidr, port }) =>
      port === undefined
        ? `    ip daddr ${cidr} accept`
        : `    ip daddr ${cidr} meta l4proto { tcp, udp } th dport ${port} accept`,
    );
  const machine =
    machineAddresses.length === 0
      ? []
      : [`    ip daddr { ${machineAddresses.join(', ')} } reject with icmpx type admin-prohibited`];
  return [
    'table inet shipyard {',
    '  chain output {',
    '    type filter hook output priority 0; policy accept;',
    '    oif lo accept',
    '    meta nfproto ipv6 reject with icmpx type admin-prohibited',
    ...exceptions,
    `    ip daddr ${SLIRP_RESOLVER} meta l4proto { tcp, udp } th dport 53 accept`,
    `    ip daddr { ${BLOCKED_V4.join(', ')} } reject with icmpx type admin-prohibited`,
    ...machine,
    '  }',
    '}',
    '',
  ].join('\n');
}

/** The machine's own IPv4 addresses, also those on its loopback: a connection to one is served on the machine itself. */
export function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return [...new Set(all.filter(({ family }) => family === 'IPv4').map(({ address }) => address))];
}
