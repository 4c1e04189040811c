import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { METADATA, type PlantedAddresses } from './planted-addresses.js';

export const MULTICAST_GROUP = '239.77.77.77';

/** Ears on the machine: what any of them hears, ever, is kept. */
export interface Listeners {
  /** TCP and UDP, both families, on every address. */
  readonly port: number;
  /** What came in, as text. */
  heard(text: string): boolean;
  close(): Promise<void>;
}

/** Opens them; each answers with the secret. */
export async function openListeners(secret: string, planted: PlantedAddresses): Promise<Listeners> {
  let all = '';
  const hear = (data: Buffer): void => void (all += data.toString().slice(0, 4096));
  const first = await listen('0.0.0.0', 0, secret, hear);
  const { port } = first.address() as { port: number };
  const servers = [first];
  const optional = async (act: () => Promise<Server>) => {
    const server = await act().catch(() => undefined); // no IPv6 here, or the port is somebody's
    if (server) servers.push(server);
  };
  await optional(() => listen('::', port, secret, hear, true));
  if (planted.metadata) await optional(() => listen(METADATA, 80, secret, hear));
  const sockets = [await receive('udp4', '0.0.0.0', port, secret, hear)];
  join(sockets[0]);
  if (planted.resolver) sockets.push(await receive('udp4', planted.resolver, 53, secret, hear));
  return {
    port,
    heard: (text) => all.includes(text),
    async close() {
      for (const socket of sockets) socket.close();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

function listen(
  host: string,
  port: number,
  secret: string,
  hear: (data: Buffer) => void,
  ipv6Only = false,
): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // whoever called left
    socket.on('data', hear);
    socket.write(secret);
    socket.setTimeout(5000, () => socket.destroy());
  });
  return new Promise((resolve, reject) =>
    server.once('error', reject).listen({ host, port, ipv6Only }, () => resolve(server)),
  );
}

function receive(
  type: 'udp4',
  address: string,
  port: number,
  secret: string,
  hear: (data: Buffer) => void,
): Promise<UdpSocket> {
  const socket = createSocket({ type, reuseAddr: true });
  socket.on('message', (data, from) => {
    hear(data);
    socket.send(secret, from.port, from.address, () => undefined);
  });
  return new Promise((resolve, reject) => socket.once('error', reject).bind(port, address, () => resolve(socket)));
}

/** On every interface that can. */
function join(socket: UdpSocket | undefined): void {
  try {
    socket?.addMembership(MULTICAST_GROUP);
  } catch {
    // no route for multicast here: nobody can hear it then
  }
}
