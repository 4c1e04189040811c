import { chmodSync, rmdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { makeShipDataDir } from '../ship-data.js';
import { isMissing } from '../system-error.js';
import type { Engine } from './engine.js';
import { runHelper } from './helper-container.js';

/** Where data of ships lie: as Bay sees the folder, and as the engine's machine does. */
export interface ShipFolders {
  readonly seenByBay: string;
  readonly onMachine: string;
}

export interface FolderDeps {
  readonly engine: Engine;
  readonly image: string;
  readonly deploymentId: string;
}

/**
 * Makes the folder of all ships, Bay's own with mode 0700: nobody else of the machine passes it, whatever the modes below.
 * Where it belongs to another (an engine made it for a Bay in a container), a helper gives it to Bay.
 *
 * @throws StatusError DRIVER_REFUSED where it cannot be made or had, or no engine could mount it
 */
export async function prepareFolders(deps: FolderDeps, folders: ShipFolders, signal: AbortSignal): Promise<void> {
  const { seenByBay, onMachine } = folders;
  if (onMachine.includes(':')) {
    const message = `SHIP_DATA_DIR=${seenByBay} cannot be mounted into ships, since the folder's name on the machine has a colon (${onMachine}): give it another`;
    throw new StatusError('DRIVER_REFUSED', message);
  }
  makeShipDataDir(seenByBay);
  if (isOwn(seenByBay)) return chmodSync(seenByBay, 0o700);
  const owner = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  await runHelper(
    deps.engine,
    {
      ...deps,
      doing: `giving SHIP_DATA_DIR=${seenByBay} to Bay`,
      script: 'chown "$1" /ships && chmod 0700 /ships',
      args: [owner],
      capabilities: ['CHOWN', 'FOWNER', 'DAC_OVERRIDE'],
      network: 'none',
      binds: [`${onMachine}:/ships`],
    },
    signal,
  );
  if (!isOwn(seenByBay))
    throw new StatusError('DRIVER_REFUSED', `SHIP_DATA_DIR=${seenByBay} is not Bay's own: give it another`);
}

const isOwn = (folder: string): boolean => statSync(folder).uid === process.getuid?.();

/** Removes a folder below SHIP_DATA_DIR with what users of ships own in it; Bay may not do that, root of the engine may. */
export async function removeForeign(deps: FolderDeps, folders: ShipFolders, doomed: string): Promise<void> {
  const onMachine = path.join(folders.onMachine, path.relative(folders.seenByBay, doomed));
  await runHelper(deps.engine, {
    ...deps,
    doing: 'removing data of a ship',
    script: 'find /doomed -mindepth 1 -delete',
    capabilities: ['DAC_OVERRIDE', 'FOWNER'],
    network: 'none',
    binds: [`${onMachine}:/doomed`],
  });
  try {
    rmdirSync(doomed);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
