import { isIP } from 'node:net';

/** An exception from the filter: SHIP_NETWORK_ALLOW's `CIDR[:port]`. */
export interface NetworkException {
  readonly cidr: string;
  readonly family: 4 | 6;
  readonly port?: number;
}

/** What `internet` keeps out of reach, beyond the machine's own addresses (decisions 23). */
export const BLOCKED_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/3',
];

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

/** How a refused packet is answered: at once, so that nobody waits for it. */
export const REJECT = 'reject with icmpx type admin-prohibited';

/** The IPv4 exceptions as rules of nftables, without indentation. */
export function exceptionRules(allow: readonly NetworkException[]): string[] {
  return allow
    .filter((exception) => exception.family === 4)
    .map(({ cidr, port }) =>
      port === undefined
        ? `ip daddr ${cidr} accept`
        : `ip daddr ${cidr} meta l4proto { tcp, udp } th dport ${port} accept`,
    );
}
