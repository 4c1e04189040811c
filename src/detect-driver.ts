import { existsSync } from 'node:fs';
import type { Config } from './config.js';
import type { DriverName } from './config/variables.js';
import { findEngine, findImage } from './drivers/engine-driver/index.js';
import { inFull } from './drivers/system-error.js';
import type { Log } from './telemetry/log.js';

const DETECT_TIMEOUT_MS = 5_000;
/** In every Pod that may speak to its API server. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * The driver that fits this machine, where none is named: Docker if it answers and has the image of ships, then Podman
 * likewise, then the cluster that Bay runs in, else local. The log says why.
 */
export async function detectDriver(config: Config, log: Log): Promise<DriverName> {
  const contained = existsSync('/.dockerenv') || existsSync('/run/.containerenv');
  for (const kind of ['docker', 'podman'] as const) {
    const problem = await whyNot(kind, config);
    const mode = contained ? kind : (`${kind}-host` as const);
    if (problem === undefined) {
      log.info({ driver: mode }, 'CONTAINER_DRIVER is not set: this engine answers and has the image of ships');
      return mode;
    }
    log.debug({ driver: mode, problem }, 'CONTAINER_DRIVER is not set, and this engine is not taken');
  }
  if (existsSync(SERVICE_ACCOUNT)) {
    log.info({ driver: 'kubernetes' }, 'CONTAINER_DRIVER is not set: Bay runs in a cluster');
    return 'kubernetes';
  }
  log.info(
    { driver: 'local' },
    `CONTAINER_DRIVER is not set, and no engine answers that has the image ${config.dockerImage}`,
  );
  return 'local';
}

async function whyNot(kind: 'docker' | 'podman', config: Config): Promise<string | undefined> {
  const signal = AbortSignal.timeout(DETECT_TIMEOUT_MS);
  try {
    const engine = await findEngine(kind, config.engine, signal);
    const image = await findImage(engine, config.dockerImage, signal);
    return image ? undefined : `${engine.url} does not have the image ${config.dockerImage}`;
  } catch (error) {
    return inFull(error);
  }
}
