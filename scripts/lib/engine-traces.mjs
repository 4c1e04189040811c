import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { ask } from './engine-api.mjs';

/** On which the Bays of the end-to-end suites have their ships (bay.mjs). */
const TEST_NETWORK = 'shipyard-test';
const OURS = encodeURIComponent(JSON.stringify({ label: ['org.shipyard.deployment'] }));
const ENVIRONMENT = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/**
 * What tests may leave of themselves with an engine and in the machine's packet filter: containers, networks, tables of
 * ours, and ports that Podman still leads to containers. Whoever is not root does not see the last two.
 *
 * @param {{ socketPath: string }} engine
 * @returns {Promise<string[]>} a line each
 */
export async function tracesOf({ socketPath }) {
  const containers = await ask(socketPath, `/containers/json?all=true&filters=${OURS}`);
  const networks = await ask(socketPath, `/networks?filters=${OURS}`);
  return [
    ...containers.map(({ Names }) => `container ${Names.join(' ')}`),
    ...networks.map(({ Name }) => `network ${Name}`),
    ...lines('nft', ['list', 'tables'], / shipyard_\w+$/),
    ...lines('iptables', ['-t', 'nat', '-S'], /^-A NETAVARK-HOSTPORT-DNAT .*--dport/),
  ];
}

/**
 * Removes containers and networks of ours, of which nobody can be using any: for an engine that just started. Tests that
 * were killed leave them, and Podman goes on leading their ports, which the system may give to whoever listens next, to
 * containers that are gone.
 *
 * @param {{ socketPath: string }} engine
 */
export async function removeLeftOvers({ socketPath }) {
  for (const { Id } of await ask(socketPath, `/containers/json?all=true&filters=${OURS}`))
    await ask(socketPath, `/containers/${Id}?force=true&v=true`, 'DELETE');
  for (const { Name } of await ask(socketPath, `/networks?filters=${OURS}`)) await removeNetwork(socketPath, Name);
}

/** Removes the network of the end-to-end suites with its filter, which a Bay that ends leaves for the next one. */
export async function removeTestNetwork({ socketPath }) {
  const networks = await ask(socketPath, '/networks');
  if (!networks.some(({ Name }) => Name === TEST_NETWORK)) return;
  await removeNetwork(socketPath, TEST_NETWORK);
}

async function removeNetwork(socketPath, name) {
  await ask(socketPath, `/networks/${name}`, 'DELETE');
  removeFilterOf(name);
}

/** Removes the filter of a network that is gone, as the next start of a Bay would. */
export function removeFilterOf(network) {
  // As filter-names.ts of the driver names them.
  const mark = createHash('sha256').update(network).digest('hex').slice(0, 8);
  for (const table of lines('nft', ['list', 'tables'], new RegExp(` shipyard_[0-9a-f]+_${mark}_\\w+$`)))
    spawnSync('nft', ['delete', ...table.split(' ')], { env: ENVIRONMENT });
}

function lines(command, args, wanted) {
  const { stdout } = spawnSync(command, args, { encoding: 'utf8', env: ENVIRONMENT });
  return (stdout ?? '').split('\n').filter((line) => wanted.test(line));
}
