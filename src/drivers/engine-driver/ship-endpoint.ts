import path from 'node:path';
import type { Endpoint } from '../driver.js';
import { INSIDE, SOCKET_BELOW_DATA } from '../inside.js';
import type { EngineDriverOptions } from './options.js';

/** As the engine tells it when it inspects or lists a container. */
export interface ContainerAddresses {
  /** The port on 127.0.0.1 that leads to the agent, of a ship that has one. */
  readonly publishedPort?: number;
  /** On the network of ships. */
  readonly address?: string;
}

/** Where Bay dials a ship's agent; undefined where the engine has not given it an address. */
export function shipEndpoint(
  shipId: string,
  { publishedPort, address }: ContainerAddresses,
  options: Pick<EngineDriverOptions, 'shipDataDir'>,
  network: string | undefined,
): Endpoint | undefined {
  if (network === 'none') return { kind: 'unix', path: path.join(options.shipDataDir, shipId, SOCKET_BELOW_DATA) };
  if (publishedPort) return { kind: 'tcp', host: '127.0.0.1', port: publishedPort };
  return address ? { kind: 'tcp', host: address, port: INSIDE.port } : undefined;
}
