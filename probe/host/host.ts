/**
 * This side of the wall: what the probes plant on the machine that ships run on, and what they hear there. Everything
 * is taken away again by close().
 */
import { mkdtempSync, chmodSync, rmSync, writeFileSync, readFileSync, existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { newSecret } from '../secrets.js';
import { openListeners, type Listeners } from './listeners.js';
import { plantAddresses, type PlantedAddresses } from './planted-addresses.js';

export interface Host {
  /** What every listener answers. */
  readonly secret: string;
  readonly listeners: Listeners;
  readonly planted: PlantedAddresses;
  /** A folder that all users of the machine may look into, with a file `secret` that all may read. */
  readonly folder: string;
  /** All addresses of the machine but the planted ones. */
  readonly addresses: { readonly v4: readonly string[]; readonly v6: readonly string[] };
  close(): Promise<void>;
}

/** Plants everything; what needs root and cannot be had is left out and told by `planted.missing`. */
export async function openHost(): Promise<Host> {
  const all = Object.entries(networkInterfaces()).flatMap(([name, found]) =>
    (found ?? []).map((one) => ({ name, ...one })),
  );
  const addresses = {
    v4: all.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
    v6: all
      .filter(({ family }) => family === 'IPv6')
      .map(({ address, name }) => (address.startsWith('fe80:') ? `${address}%${name}` : address)),
  };
  const secret = newSecret('host');
  const planted = await plantAddresses();
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-probe-'));
  chmodSync(folder, 0o755);
  writeFileSync(path.join(folder, 'secret'), secret, { mode: 0o644 });
  const listeners = await openListeners(secret, planted);
  const sockets = await Promise.all([
    serve(path.join(folder, 'socket'), secret),
    serve(`\0${path.basename(folder)}`, secret),
  ]);
  chmodSync(path.join(folder, 'socket'), 0o777);
  return {
    secret,
    listeners,
    planted,
    folder,
    addresses,
    async close() {
      for (const server of sockets) server.close();
      await listeners.close();
      planted.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function serve(address: string, secret: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // whoever called left
    socket.end(secret);
  });
  return new Promise((resolve, reject) => server.once('error', reject).listen(address, () => resolve(server)));
}

/** The hashed password of root, where there is one that this user may read. */
export function shadowLine(): string | undefined {
  if (!existsSync('/etc/shadow')) return undefined;
  try {
    return readFileSync('/etc/shadow', 'utf8').split('\n')[0];
  } catch {
    return undefined; // not this user's to read
  }
}
