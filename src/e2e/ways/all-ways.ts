import { BayServiceDefinition } from '../../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { createClient, type Transport } from '../../../proto/rpc/client.js';
import { openGrpcChannel } from '../../../proto/rpc/grpc-client.js';
import { dialSocket } from '../../../proto/rpc/mux/dial-socket.js';
import { dialMux, type MuxLink } from '../../../proto/rpc/mux/mux-grpc.js';
import type { OwnBay } from '../../../scripts/lib/bay.mjs';
import { callsWay, type Services } from './calls-way.js';
import { documentedHttp } from './documented-http.js';
import { v1Http } from './v1-http.js';
import type { Way } from './way.js';

/** Every way into a Bay: two over HTTP, plain gRPC, and many calls over one stream, of gRPC or of a bare socket. */
export async function openAllWays(bay: OwnBay): Promise<Way[]> {
  const { gRPC, mux, 'mux on a socket': socket } = await openServices(bay);
  return [
    documentedHttp(bay),
    v1Http(bay),
    callsWay('gRPC', gRPC, ['ships', 'cells', 'commands', 'text-files', 'file-streams', 'executions'], gRPC.close),
    callsWay('mux', mux, MUX_ABILITIES, mux.close),
    callsWay('mux on a socket', socket, MUX_ABILITIES, socket.close),
  ];
}

/** Large files have streams of their own and do not ride the mux. */
const MUX_ABILITIES = ['ships', 'cells', 'commands', 'text-files', 'executions'] as const;

export interface OpenServices extends Services {
  close(this: void): Promise<void>;
}

/** The services of a Bay as calls of gRPC, over one mux stream of gRPC, and over one on a bare socket. */
export async function openServices(bay: OwnBay): Promise<Record<'gRPC' | 'mux' | 'mux on a socket', OpenServices>> {
  const channel = openGrpcChannel(bay.grpcAddress, { metadata: { authorization: `Bearer ${bay.token}` } });
  const options = { token: bay.token, signal: AbortSignal.timeout(10_000) };
  const stream = await dialMux(bay.grpcAddress, options);
  const [host = '', port] = bay.grpcAddress.split(':');
  const socket = await dialSocket({ host, port: Number(port) }, options);
  if (!socket) throw new Error(`${bay.grpcAddress} takes no mux on bare sockets`);
  return {
    gRPC: { ...servicesOver(channel), close: async () => channel.close() },
    mux: onMux(stream),
    'mux on a socket': onMux(socket),
  };
}

const onMux = ({ connection }: MuxLink): OpenServices => ({
  ...servicesOver(connection),
  close: async () => connection.close(),
});

const servicesOver = (transport: Transport): Services => ({
  bay: createClient(BayServiceDefinition, transport),
  executions: createClient(ExecutionServiceDefinition, transport),
  files: createClient(FileServiceDefinition, transport),
});
