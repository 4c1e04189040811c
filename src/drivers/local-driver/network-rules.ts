import { networkInterfaces } from 'node:os';
import { BLOCKED_V4, exceptionRules, REJECT, type NetworkException } from '../network-filter.js';

/** slirp4netns answers DNS here and asks the machine's own resolver. */
export const SLIRP_RESOLVER = '10.0.2.3';

/**
 * The filter inside a ship's network namespace, as nftables reads it. It judges what leaves; nothing comes in, since
 * slirp4netns forwards no port. The loopback is the ship's own. There is no IPv6 uplink, and its whole family is refused,
 * so that IPv4-mapped forms, which leave as IPv4, are the only way an IPv6 socket leads outside.
 */
export function networkRules(allow: readonly NetworkException[], machineAddresses: readonly string[]): string {
  const machine = machineAddresses.length === 0 ? [] : [`    ip daddr { ${machineAddresses.join(', ')} } ${REJECT}`];
  return [
    'table inet shipyard {',
    '  chain output {',
    '    type filter hook output priority 0; policy accept;',
    '    oif lo accept',
    `    meta nfproto ipv6 ${REJECT}`,
    ...exceptionRules(allow).map((rule) => `    ${rule}`),
    `    ip daddr ${SLIRP_RESOLVER} meta l4proto { tcp, udp } th dport 53 accept`,
    `    ip daddr { ${BLOCKED_V4.join(', ')} } ${REJECT}`,
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
