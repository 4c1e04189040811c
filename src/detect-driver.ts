import { existsSync } from 'node:fs';
import type { Config } from './config.js';
import type { DriverName } from './config/variables.js';
import { findEngine, findImage, lookForBayContainer } from './drivers/engine-driver/index.js';
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
  const problems: string[] = [];
  for (const kind of ['docker', 'podman'] as const) {
    const { mode, problem } = await modeOf(kind, config);
    if (mode) {
      log.info({ driver: mode }, 'CONTAINER_DRIVER is not set: this engine answers and has the image of ships');
      return mode;
    }
    problems.push(`${kind}: ${problem}`);
  }
  if (existsSync(SERVICE_ACCOUNT)) {
    log.info({ driver: 'kubernetes', problems }, 'CONTAINER_DRIVER is not set: Bay runs in a cluster');
    return 'kubernetes';
  }
  const image = config.dockerImage;
  log.info(
    { driver: 'local', problems },
    `CONTAINER_DRIVER is not set, and no engine answers that has the image ${image} (npm run images makes it)`,
  );
  return 'local';
}

type Found =
  { readonly mode: DriverName; readonly problem?: undefined } | { readonly mode?: undefined; readonly problem: string };

/** In a container of another engine than this one Bay is on the machine, as far as this one is concerned. */
async function modeOf(kind: 'docker' | 'podman', config: Config): Promise<Found> {
  const signal = AbortSignal.timeout(DETECT_TIMEOUT_MS);
  try {
    const engine = await findEngine(kind, config.engine, signal);
    const image = await findImage(engine, config.dockerImage, signal);
    if (!image) return { problem: `${engine.url} does not have the image ${config.dockerImage}` };
    return { mode: (await lookForBayContainer(engine, signal)) ? kind : `${kind}-host` };
  } catch (error) {
    return { problem: inFull(error) };
  }
}
