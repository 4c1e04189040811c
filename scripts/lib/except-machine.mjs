import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { kubectl } from './cluster.mjs';

/**
 * Adds to the exceptions of `ships-internet` what an operator who has public addresses would: those of this machine, where
 * Bay runs and which may be the node. What the policy leaves out anyway is left to it.
 */
export function exceptThisMachine(namespace) {
  const here = ['-n', namespace];
  const policy = JSON.parse(kubectl([...here, 'get', 'networkpolicy', 'ships-internet', '-o', 'json']));
  const blocks = policy.spec.egress.flatMap(({ to }) => to.flatMap(({ ipBlock }) => (ipBlock ? [ipBlock] : [])));
  const own = Object.values(networkInterfaces()).flatMap((all) => all.map(({ address }) => address));
  for (const block of blocks) {
    const { cidr, except = [] } = block;
    const open = own.filter((address) => isIn(address, cidr) && !except.some((one) => isIn(address, one)));
    const added = open.map((address) => `${address}/${isIPv6(address) ? 128 : 32}`);
    if (added.length > 0) block.except = [...except, ...added];
  }
  kubectl([...here, 'replace', '-f', '-'], { input: JSON.stringify(policy) });
}

function isIn(address, cidr) {
  const [network, prefix] = cidr.split('/');
  const [family, other] = [address, network].map((one) => (isIPv6(one) ? 'ipv6' : 'ipv4'));
  if (family !== other) return false;
  const block = new BlockList();
  block.addSubnet(network, Number(prefix), family);
  return block.check(address, family);
}
