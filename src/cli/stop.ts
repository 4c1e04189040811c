/**
 * `npm run stop -- --all`: stops every ship of this deployment; workspaces stay. Through Bay where one runs, else by
 * itself.
 */
import path from 'node:path';
import { BayServiceDefinition, ShipState } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { createClient } from '../../proto/rpc/client.js';
import { openGrpcChannel } from '../../proto/rpc/grpc-client.js';
import { isStatusError } from '../../proto/rpc/status-error.js';
import { loadConfig, type Config } from '../config.js';
import { ConfigError } from '../config/config-error.js';
import { createDriver } from '../create-driver.js';
import { shipDialer } from '../ship-clients/dial-ship.js';
import { readDeploymentKey } from '../ship-clients/ship-token.js';
import { openShips } from '../ships/open-ships.js';
import { refuseShipsOfOthers } from '../ships/other-drivers.js';
import { stopEveryShip } from '../ships/stop-every-ship.js';
import { STOPPED_BY_REQUEST } from '../ships/stop-ship.js';
import { StoreError } from '../store/store-error.js';
import { Store } from '../store/store.js';
import { systemClock } from '../telemetry/clock.js';
import { createLog } from '../telemetry/log.js';
import { Metrics } from '../telemetry/metrics.js';
import { toSettings } from '../to-settings.js';
import { credentials } from '@grpc/grpc-js';
import { existsSync, readFileSync } from 'node:fs';

const ROOT = path.resolve(import.meta.dirname, '../..');
const installation = path.basename(import.meta.dirname) === 'dist' ? path.dirname(import.meta.dirname) : ROOT;

try {
  if (!process.argv.includes('--all')) {
    process.stderr.write('usage: npm run stop -- --all\n  Stops every ship of this deployment; workspaces are kept.\n');
    process.exit(2);
  }
  const config = loadConfig();
  if (!existsSync(config.databaseFile))
    throw new StoreError(
      `there is no database ${config.databaseFile}, so no ships: run it with the environment and in the folder of Bay`,
    );
  const { stopped, failed } = (await stopAlone(config)) ?? (await stopThroughBay(config));
  process.stdout.write(
    `stopped ${stopped === 1 ? '1 ship' : `${stopped} ships`}${failed > 0 ? `, ${failed} failed` : ''}\n`,
  );
  process.exit(failed > 0 ? 1 : 0);
} catch (error) {
  const hint =
    isStatusError(error) && (error.reason === 'TOKEN_INVALID' || error.reason === 'TOKEN_MISSING')
      ? ': set ACCESS_TOKEN to the one with which Bay was started'
      : '';
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}${hint}\n`);
  process.exit(error instanceof ConfigError ? 2 : 1);
}

interface Stopped {
  readonly stopped: number;
  readonly failed: number;
}

/** undefined where a Bay holds the database. */
async function stopAlone(config: Config): Promise<Stopped | undefined> {
  const log = createLog({ level: 'warn', pretty: process.stdout.isTTY });
  let store: Store;
  try {
    const importDefaults = { ...config.defaultSpec, ttlSeconds: config.defaultTtlSeconds, uidBase: config.uidBase };
    store = new Store({ file: config.databaseFile, log, importDefaults, now: systemClock.now() });
  } catch (error) {
    if (error instanceof StoreError && error.inUse) return undefined;
    throw error;
  }
  const key = readDeploymentKey(config.stateDir);
  const driver = await createDriver({ config, log, deploymentId: store.deploymentId, key, root: installation });
  // Where it cannot look, nobody knows what lives: that is told, and not that there was nothing.
  await driver.list();
  const ships = openShips({
    store,
    driver,
    dialer: shipDialer,
    key,
    clock: systemClock,
    log,
    metrics: new Metrics(),
    settings: toSettings(config),
  });
  await refuseShipsOfOthers(ships.deps);
  await ships.reconciler.tick();
  const result = await stopEveryShip(ships.deps, STOPPED_BY_REQUEST);
  ships.close();
  await store.close();
  return result;
}

async function stopThroughBay(config: Config): Promise<Stopped> {
  const host = ['0.0.0.0', '::'].includes(config.host) ? '127.0.0.1' : config.host;
  const channel = openGrpcChannel(`${host.includes(':') ? `[${host}]` : host}:${config.grpcPort}`, {
    metadata: { authorization: `Bearer ${config.accessToken}` },
    ...(config.tls ? { credentials: credentials.createSsl(readFileSync(config.tls.certFile)) } : {}),
  });
  try {
    const bay = createClient(BayServiceDefinition, channel);
    const states = [ShipState.CREATING, ShipState.RUNNING, ShipState.STOPPING];
    const { ships } = await bay.listShips({ states }, { timeoutMs: 10_000 });
    const ends = await Promise.allSettled(ships.map(({ shipId }) => bay.stopShip({ shipId }, { timeoutMs: 60_000 })));
    const failed = ends.filter(({ status }) => status === 'rejected').length;
    return { stopped: ends.length - failed, failed };
  } finally {
    channel.close();
  }
}
