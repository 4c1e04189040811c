/** Bay's program, and the one place that knows where everything comes from. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { BayServiceDefinition } from '../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../proto/gen/shipyard/execution/v1/file_service.js';
import { createClient } from '../proto/rpc/client.js';
import { inProcess } from '../proto/rpc/in-process.js';
import { PROTOCOL_GENERATION } from '../proto/rpc/mux/frame.js';
import { createRouter } from '../proto/rpc/router.js';
import { isStatusError } from '../proto/rpc/status-error.js';
import { createBayService } from './bay-service.js';
import { configTable, isLoopback, loadConfig, type Config } from './config.js';
import { ConfigError } from './config/config-error.js';
import { createDriver } from './create-driver.js';
import type { DriverReport } from './drivers/driver.js';
import { inFull } from './drivers/system-error.js';
import { createExecutionService } from './execution-service.js';
import { createFileService } from './file-service.js';
import { Descriptors } from './gateway/descriptors.js';
import { startHttpServer, type HttpServer } from './gateway/http-server.js';
import { documentedPaths, registerShipyardApi, repairUrl } from './gateway/shipyard-api/index.js';
import { startGrpcServer, type GrpcServer } from './grpc/grpc-server.js';
import { authInterceptor, createAuthorizer } from './interceptors/auth.js';
import { logInterceptor } from './interceptors/log.js';
import { createReadiness } from './readiness.js';
import { shipDialer } from './ship-clients/dial-ship.js';
import { readDeploymentKey } from './ship-clients/ship-token.js';
import { openShips, type OpenShips } from './ships/open-ships.js';
import { refuseShipsOfOthers } from './ships/other-drivers.js';
import { stopEveryShip } from './ships/stop-every-ship.js';
import { Store } from './store/store.js';
import { systemClock } from './telemetry/clock.js';
import { createLogs, type Log, type Logs } from './telemetry/log.js';
import { Metrics } from './telemetry/metrics.js';
import { toSettings } from './to-settings.js';

/** The installation: the parent of src/ as of dist/. */
const ROOT = path.resolve(import.meta.dirname, '..');
/** The image of ships may have to be pulled; every step has a shorter bound of its own. */
const CHECK_TIMEOUT_MS = 30 * 60_000;
const DRAIN_MS = 10_000;
/** For starts that failed to be undone; what is left the next Bay finds. */
const UNDO_MS = 5_000;

try {
  if (process.argv.includes('--config-table')) process.stdout.write(configTable());
  else await main(loadConfig());
} catch (error) {
  process.stderr.write(`${toText(error)}\n`);
  process.exit(error instanceof ConfigError ? 2 : 1);
}

async function main(config: Config): Promise<void> {
  const logs = createLogs({ level: config.logLevel, pretty: process.stdout.isTTY });
  const { log } = logs;
  process.on('exit', logs.flush);
  process.stdout.on('error', () => undefined); // whoever read the log has left: Bay serves on
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'a defect: nobody waited for this failure'));
  for (const warning of config.warnings) log.warn({}, warning);
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string };

  const store = openStore(config, log);
  const key = readDeploymentKey(config.stateDir);
  const driver = await createDriver({ config, log, deploymentId: store.deploymentId, key, root: ROOT });
  await refuseShipsOfOthers({ store, driver }); // before the machine is changed for this one
  const report = await driver.check(AbortSignal.timeout(CHECK_TIMEOUT_MS));
  const metrics = new Metrics();
  const ships = openShips({
    store,
    driver,
    dialer: shipDialer,
    key,
    clock: systemClock,
    log,
    metrics,
    settings: toSettings(config),
  });
  await ships.reconciler.tick();

  const ending = new AbortController();
  const servers = await startServers(config, logs, ships, { version, report, metrics, ending: ending.signal });
  const looking = ships.run(ending.signal);
  sayHello(config, log, servers, driver.name, report);

  const signal = await untilSignal();
  log.info({ signal }, 'stopping: open calls have 10 s to end');
  ending.abort();
  await Promise.all([servers.http.stop({ drainMs: DRAIN_MS }), servers.grpc.stop({ drainMs: DRAIN_MS }), looking]);
  await ships.deps.undoing.settled(AbortSignal.timeout(UNDO_MS));
  await sayGoodbye(config, log, ships);
  ships.close();
  await store.close();
  process.exit(0);
}

function openStore(config: Config, log: Log): Store {
  return new Store({
    file: config.databaseFile,
    log,
    importDefaults: { ...config.defaultSpec, ttlSeconds: config.defaultTtlSeconds, uidBase: config.uidBase },
    now: systemClock.now(),
  });
}

interface Servers {
  readonly http: HttpServer;
  readonly grpc: GrpcServer;
}

interface About {
  readonly version: string;
  readonly report: DriverReport;
  readonly metrics: Metrics;
  /** Aborts when Bay stops. */
  readonly ending: AbortSignal;
}

async function startServers(config: Config, logs: Logs, { deps }: OpenShips, about: About): Promise<Servers> {
  const { log } = logs;
  const { version, report, metrics, ending } = about;
  const authorize = createAuthorizer(config.accessToken);
  const server = { version, network: report.network, protocolGeneration: PROTOCOL_GENERATION };
  const router = createRouter({
    services: [
      [BayServiceDefinition, createBayService({ ...deps, server })],
      [ExecutionServiceDefinition, createExecutionService(deps)],
      [FileServiceDefinition, createFileService(deps)],
    ],
    interceptors: [logInterceptor(logs), authInterceptor(authorize)],
  });
  const { host, tls } = config;
  const descriptorSetPath = path.join(ROOT, 'proto/gen/descriptors.binpb');
  const grpc = await startGrpcServer({
    host,
    port: config.grpcPort,
    router,
    tls,
    descriptorSetPath,
    authenticate: ({ authorization }) => authorize(authorization),
    mux: {
      sockets: true,
      hello: () => ({ agentVersion: version }),
    },
  });
  const transport = inProcess(router, { peer: 'http' });
  const clients = {
    bay: createClient(BayServiceDefinition, transport),
    executions: createClient(ExecutionServiceDefinition, transport),
    files: createClient(FileServiceDefinition, transport),
  };
  const { maxUploadBytes } = config;
  const api = {
    ...clients,
    authorize,
    log,
    config: { maxUploadBytes, version },
  };
  const whyNotReady = createReadiness({ ...deps, clock: systemClock, shipDataDir: config.shipDataDir });
  const http = await startHttpServer({
    host,
    port: config.port,
    ...(tls ? { tls } : {}),
    ...clients,
    authorize,
    descriptors: new Descriptors(readFileSync(descriptorSetPath)),
    documented: {
      register: (app) => registerShipyardApi(app, api),
      paths: documentedPaths,
      rewriteUrl: repairUrl,
    },
    maxUploadBytes,
    corsOrigins: config.corsOrigins,
    metrics,
    version,
    ready: async () => (ending.aborted ? 'Bay is stopping' : whyNotReady()),
    log,
  });
  return { http, grpc };
}

function sayHello(config: Config, log: Log, { http, grpc }: Servers, driver: string, report: DriverReport): void {
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const [web, rpc] = config.tls ? ['https', 'TLS'] : ['http', 'plain text'];
  for (const warning of report.warnings) log.warn({ driver }, warning);
  if (config.usesDefaultToken) {
    const text =
      'ACCESS_TOKEN is one that the documentation shows, so Bay listens on loopback only; set one of your own';
    log.warn({ host }, text);
  } else if (!config.tls && !isLoopback(config.host)) {
    const text =
      'Bay listens beyond loopback in plain text: set TLS_CERT_FILE and TLS_KEY_FILE, or let only a proxy with TLS or ports published on loopback lead here';
    log.warn({ host }, text);
  }
  log.info({ driver, network: report.network }, report.summary);
  const url = `${web}://${host}:${http.port}`;
  log.info({ http: url, docs: `${url}/docs`, grpc: `${host}:${grpc.port} (${rpc})` }, 'Bay is ready');
}

/** Ships outlive Bay, except where they were asked to end with it. */
async function sayGoodbye({ ephemeral }: Config, log: Log, { deps }: OpenShips): Promise<void> {
  if (ephemeral) await stopEveryShip(deps, 'stopped with its Bay');
  const living = await deps.store.countPlaces();
  if (living > 0)
    log.warn({ ships: living }, 'these ships live on; `npm run stop -- --all`, with the same configuration, ends them');
  log.info({}, 'stopped');
}

/** The first SIGINT or SIGTERM; a second one ends the process at once. */
async function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first = true;
    const take = (signal: NodeJS.Signals) => {
      if (!first) process.exit(1);
      first = false;
      resolve(signal);
    };
    process.on('SIGINT', take);
    process.on('SIGTERM', take);
  });
}

/** Where the program itself is wrong, its stack; else what the operator can do something about, in its own words. */
function toText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isDefect = [TypeError, RangeError, ReferenceError].some((kind) => error instanceof kind);
  if (isDefect) return error.stack ?? error.message;
  return isStatusError(error) ? inFull(error) : error.message;
}
