import { runHelper } from '../helper-container.js';
import { findImage } from '../image.js';
import { digest } from '../labels.js';
import type { EngineShips } from './engine-ships.js';

/** The tables that filter a network, whoever set them, as nft names them: `inet name`. */
export async function filtersOf(ships: EngineShips, network: string): Promise<string[]> {
  const tables = (await nft(ships, 'nft list tables')).split('\n').map((line) => line.replace(/^table /, ''));
  return tables.filter((table) => table.includes(`_${digest(network).slice(0, 8)}_`));
}

export async function removeFilters(ships: EngineShips, network: string): Promise<void> {
  const tables = await filtersOf(ships, network);
  await nft(ships, tables.map((table) => `nft delete table ${table}`).join('\n'));
}

/** Runs commands of nft on the engine's machine. @returns what they wrote */
async function nft(ships: EngineShips, script: string): Promise<string> {
  const engine = await ships.engine();
  return runHelper(engine, {
    doing: 'looking at the packet filter',
    image: (await findImage(engine, ships.options.image, AbortSignal.timeout(30_000)))?.id ?? '',
    deploymentId: ships.options.deploymentId,
    script,
    capabilities: ['NET_ADMIN'],
    network: 'host',
  });
}
