import { BayServiceDefinition } from '../../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { createClient, type Transport } from '../../../proto/rpc/client.js';
import { openGrpcChannel } from '../../../proto/rpc/grpc-client.js';
import { dialMux } from '../../../proto/rpc/mux/mux-grpc.js';
import type { OwnBay } from '../../../scripts/lib/bay.mjs';
import { callsWay, type Services } from './calls-way.js';
import { documentedHttp } from './documented-http.js';
import { v1Http } from './v1-http.js';
import type { Way } from './way.js';

/** Every way into a Bay: two over HTTP, plain gRPC, and many calls over one stream. */
export async function openAllWays(bay: OwnBay): Promise<Way[]> {
  const { gRPC, mux } = await openServices(bay);
  return [
    documentedHttp(bay),
    v1Http(bay),
    callsWay('gRPC', gRPC, ['ships', 'cells', 'commands', 'text-files', 'file-streams', 'executions'], gRPC.close),
    // Large files have streams of their own and do not ride the mux.
    callsWay('mux', mux, ['ships', 'cells', 'commands', 'text-files', 'executions'], mux.close),
  ];
}

export interface OpenServices extends Services {
  close(this: void): Promise<void>;
}

/** The services of a Bay as calls of gRPC, and over one mux stream. */
export async function openServices(bay: OwnBay): Promise<Record<'gRPC' | 'mux', OpenServices>> {
  const channel = openGrpcChannel(bay.grpcAddress, { metadata: { authorization: `Bearer ${bay.token}` } });
  const link = await dialMux(bay.grpcAddress, { token: bay.token, signal: AbortSignal.timeout(10_000) });
  return {
    gRPC: { ...servicesOver(channel), close: async () => channel.close() },
    mux: { ...servicesOver(link.connection), close: async () => link.connection.close() },
  };
}

const servicesOver = (transport: Transport): Services => ({
  bay: createClient(BayServiceDefinition, transport),
  executions: createClient(ExecutionServiceDefinition, transport),
  files: createClient(FileServiceDefinition, transport),
});
