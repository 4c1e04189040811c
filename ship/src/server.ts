import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ServerCredentials } from '@grpc/grpc-js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import { ShipServiceDefinition } from '../../proto/gen/shipyard/ship/v1/ship.js';
import { around } from '../../proto/rpc/around.js';
import type { Implementation } from '../../proto/rpc/definition.js';
import { startRpcServer, type RpcServer } from '../../proto/rpc/grpc-server.js';
import { createRouter } from '../../proto/rpc/router.js';
import type { AgentConfig } from './config.js';
import type { Log } from './part-deps.js';
import { createTokenCheck } from './token-check.js';

export interface ShipServices {
  readonly ship: Implementation<typeof ShipServiceDefinition>;
  readonly executions: Implementation<typeof ExecutionServiceDefinition>;
  readonly files: Implementation<typeof FileServiceDefinition>;
}

export interface ShipServerOptions {
  readonly config: AgentConfig;
  readonly version: string;
  readonly log: Log;
  /** A Bay is connected until the promise resolves. */
  onLink(closed: Promise<unknown>): void;
}

/** Serves Bay on the ship's socket. Nobody else: every call and every connection shows this incarnation's token. */
export async function startShipServer(services: ShipServices, options: ShipServerOptions): Promise<RpcServer> {
  const { config, log, version } = options;
  const checkToken = createTokenCheck(config.token);
  const router = createRouter({
    services: [
      [ShipServiceDefinition, services.ship],
      [ExecutionServiceDefinition, services.executions],
      [FileServiceDefinition, services.files],
    ],
    interceptors: [
      around((ctx) => {
        checkToken(ctx.metadata);
        const startMs = performance.now();
        return {
          end: (error) => {
            const durationMs = Math.round(performance.now() - startMs);
            const fields = { method: ctx.method, peer: ctx.peer, durationMs };
            if (error?.reason === 'INTERNAL') log.error({ ...fields, err: error }, 'rpc');
            else log.debug({ ...fields, reason: error?.reason ?? 'OK' }, 'rpc');
          },
        };
      }),
    ],
  });
  const { listen } = config;
  const shared = listen.kind === 'unix' && listen.shared ? listen.path : undefined;
  if (shared) await makePassable(dirname(shared));
  const server = await startRpcServer({
    ...toServerAddress(listen),
    router,
    authenticate: (metadata) => checkToken(metadata),
    mux: {
      hello: () => ({ shipId: config.shipId, incarnation: config.incarnation, agentVersion: version }),
      sockets: true,
      onConnection: (connection) => options.onLink(connection.closed),
    },
  });
  if (shared) await chmod(shared, 0o666);
  return server;
}

/** Others may pass, not look. */
async function makePassable(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o711);
}

/** IPv6 too, where the ship has it. Named by no host, so that Node compiles no expression to judge one (4 ms of a start). */
const EVERY_ADDRESS = '0.0.0.0';

function nameOf(host: string): string {
  if (host === EVERY_ADDRESS) return '';
  return host.includes(':') ? `[${host}]` : host;
}

function toServerAddress(listen: AgentConfig['listen']): { address: string; credentials?: ServerCredentials } {
  if (listen.kind === 'unix') return { address: `unix:${listen.path}` };
  const { host, port, tls } = listen;
  const address = `${nameOf(host)}:${port}`;
  if (!tls) return { address };
  const [cert_chain, private_key, ca] = [tls.certPem, tls.keyPem, tls.caPem].map((pem) => Buffer.from(pem));
  return {
    address,
    credentials: ServerCredentials.createSsl(ca!, [{ cert_chain: cert_chain!, private_key: private_key! }], true),
  };
}
