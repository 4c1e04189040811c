/**
 * Bay's gRPC server: the router's services call by call, MuxService.Connect, grpc.health.v1.Health and server reflection,
 * so that grpcurl needs no files.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ServerCredentials, type Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { startRpcServer, type MuxServerOptions } from '../../proto/rpc/grpc-server.js';
import type { MuxConnection } from '../../proto/rpc/mux/mux-connection.js';
import type { Authenticate } from '../../proto/rpc/prove-calls.js';
import type { Router } from '../../proto/rpc/router.js';
import { reflectedPackage } from './reflected-package.js';

export interface GrpcServerOptions {
  /** An address of this machine; "::" listens on both families. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly router: Router;
  readonly authenticate?: Authenticate;
  readonly mux: MuxServerOptions;
  /** PEM files; without them the server speaks without TLS. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** What `npm run gen` makes for reflection, of our services and of health; default: beside the generated code. */
  readonly descriptorSetPath?: string;
}

export interface GrpcServer {
  readonly port: number;
  /** "host:port". */
  readonly address: string;
  readonly connections: ReadonlySet<MuxConnection>;
  /** What the health service answers, for the server as a whole and for each service. Serving at first. */
  setServing(serving: boolean): void;
  /** Not serving, no new calls; open ones have `drainMs` to end, then they are aborted. */
  stop(options: { readonly drainMs: number }): Promise<void>;
}

const MUX_SERVICE = 'shipyard.mux.v1.MuxService';
const HEALTH_SERVICE = 'grpc.health.v1.Health';
const DESCRIPTOR_SET_PATH = fileURLToPath(new URL('../../proto/gen/descriptors.binpb', import.meta.url));

/** @throws Error where the port is in use (names port and variable), or where a TLS file cannot be read */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { host, port, router } = options;
  const names = ['', ...router.services.map(({ fullName }) => fullName)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'SERVING' as const])));
  const setServing = (serving: boolean): void => {
    for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  };
  const descriptors = await readFile(options.descriptorSetPath ?? DESCRIPTOR_SET_PATH);
  const reflection = new ReflectionService(reflectedPackage(descriptors), {
    services: [...router.services.map(({ fullName }) => fullName), MUX_SERVICE, HEALTH_SERVICE],
  });
  const server = await startRpcServer({
    address: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    router,
    mux: options.mux,
    ...(options.authenticate && { authenticate: options.authenticate }),
    ...(options.tls && { credentials: await readCredentials(options.tls) }),
    extend: (grpcServer: Server) => {
      health.addToServer(grpcServer);
      reflection.addToServer(grpcServer);
    },
  }).catch((error: Error & { code?: string }) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new Error(`port ${port} is in use: choose another with GRPC_PORT`, { cause: error });
  });
  return {
    port: server.port,
    address: server.address,
    connections: server.connections,
    setServing,
    stop: (stopOptions) => {
      setServing(false);
      return server.stop(stopOptions);
    },
  };
}

async function readCredentials({
  certFile,
  keyFile,
}: {
  certFile: string;
  keyFile: string;
}): Promise<ServerCredentials> {
  const [certificate, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  return ServerCredentials.createSsl(null, [{ cert_chain: certificate, private_key: key }]);
}
