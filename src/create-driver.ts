import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Config } from './config.js';
import type { DriverName } from './config/variables.js';
import type { Driver } from './drivers/driver.js';
import { createEngineDriver, type EngineMode } from './drivers/engine-driver/index.js';
import { createKubernetesDriver, readPodTemplate } from './drivers/kubernetes-driver/index.js';
import { createLocalDriver } from './drivers/local-driver/index.js';
import { detectDriver } from './detect-driver.js';
import type { createLog } from './telemetry/log.js';

export interface CreateDriverDeps {
  readonly config: Config;
  readonly log: ReturnType<typeof createLog>;
  /** Of the database: what is created is marked with it. */
  readonly deploymentId: string;
  /** The deployment's; what drivers keep secret is made from it. */
  readonly key: Buffer;
  /** The installation's folder. */
  readonly root: string;
}

/** For reading what a cluster says of a start that takes too long. */
const WORDS_MS = 4_000;

const DRIVERS: Readonly<Record<DriverName, (deps: CreateDriverDeps) => Driver | Promise<Driver>>> = {
  docker: openEngineDriver('docker'),
  'docker-host': openEngineDriver('docker-host'),
  podman: openEngineDriver('podman'),
  'podman-host': openEngineDriver('podman-host'),
  kubernetes: openKubernetesDriver,
  local: openLocalDriver,
};

/**
 * The driver that the configuration names, or the one that fits this machine.
 *
 * @throws ConfigError where a file that it names is wrong
 */
export async function createDriver(deps: CreateDriverDeps): Promise<Driver> {
  return DRIVERS[deps.config.driver ?? (await detectDriver(deps.config, deps.log))](deps);
}

function openEngineDriver(mode: EngineMode): (deps: CreateDriverDeps) => Driver {
  return ({ config, log, deploymentId }) =>
    createEngineDriver({
      mode,
      addresses: config.engine,
      deploymentId,
      image: config.dockerImage,
      network: config.dockerNetwork,
      shipDataDir: config.shipDataDir,
      ...(config.shipNetwork === undefined ? {} : { shipNetwork: config.shipNetwork }),
      shipNetworkAllow: config.shipNetworkAllow,
      ...(config.shipRuntime === undefined ? {} : { runtime: config.shipRuntime }),
      ephemeral: config.ephemeral,
      shipEnvironment: config.shipEnvironment,
      executionLogMaxBytes: config.executionLogMaxBytes,
      shipLogMaxBytes: config.shipLogMaxBytes,
      logLevel: config.logLevel,
      logger: log,
    });
}

async function openKubernetesDriver({ config, log, deploymentId, key }: CreateDriverDeps): Promise<Driver> {
  const { podTemplateFile, ...kubernetes } = config.kubernetes;
  return createKubernetesDriver({
    ...kubernetes,
    ...(podTemplateFile === undefined ? {} : { podTemplate: await readPodTemplate(podTemplateFile) }),
    deploymentId,
    certificateSecret: createHmac('sha256', key).update('certificates of ships').digest(),
    image: config.dockerImage,
    shipNetwork: config.shipNetwork ?? 'internet',
    shipNetworkAllow: config.shipNetworkAllow,
    ephemeral: config.ephemeral,
    shipEnvironment: config.shipEnvironment,
    executionLogMaxBytes: config.executionLogMaxBytes,
    shipLogMaxBytes: config.shipLogMaxBytes,
    // Before the caller's own wait is over, so that the cluster's words for it are told.
    startTimeoutMs: Math.max(config.startTimeoutMs - WORDS_MS, config.startTimeoutMs / 2),
    logLevel: config.logLevel,
    logger: log,
  });
}

function openLocalDriver({ config, log, deploymentId, root }: CreateDriverDeps): Driver {
  const { shipNetwork, runtimeDir } = config;
  const launch = readLaunch(root);
  return createLocalDriver({
    shipDataDir: config.shipDataDir,
    ...(runtimeDir === undefined ? {} : { runtimeDir: path.join(runtimeDir, 'shipyard') }),
    deploymentId,
    agentCommand: [process.execPath, ...launch.nodeArguments, path.join(root, 'dist/ship/run.cjs')],
    agentEnvironment: launch.environment,
    supportDir: path.join(root, 'ship/python'),
    pythonExecutable: config.python ?? findPython(root),
    ...(shipNetwork === undefined ? {} : { shipNetwork }),
    shipNetworkAllow: config.shipNetworkAllow,
    uidBase: config.uidBase,
    isolation: config.localIsolation,
    ephemeral: config.ephemeral,
    shipEnvironment: config.shipEnvironment,
    executionLogMaxBytes: config.executionLogMaxBytes,
    shipLogMaxBytes: config.shipLogMaxBytes,
    startTimeoutMs: config.startTimeoutMs,
    logLevel: config.logLevel,
    logger: log,
  });
}

/** How an agent's Node is started: the code cache was made under these very arguments, and V8 takes it under no others. */
function readLaunch(root: string): { nodeArguments: string[]; environment: Record<string, string> } {
  return JSON.parse(readFileSync(path.join(root, 'ship/launch.json'), 'utf8')) as ReturnType<typeof readLaunch>;
}

function findPython(root: string): string {
  const own = path.join(root, '.venv/bin/python');
  return existsSync(own) ? own : '/usr/bin/python3';
}
