import Docker from 'dockerode';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import { callEngine } from './call-engine.js';
import { engineAddresses, toDockerOptions, usualSockets } from './engine-address.js';
import { engineTrouble } from './engine-error.js';
import type { EngineAddresses, EngineKind } from './options.js';

/** An engine that answered, and what it said of itself. */
export interface Engine {
  readonly docker: Docker;
  readonly kind: EngineKind;
  readonly url: string;
  readonly version: string;
  readonly rootless: boolean;
  /** Limits that it can enforce. */
  readonly limits: { readonly memory: boolean; readonly swap: boolean; readonly cpu: boolean; readonly pids: boolean };
  /** Its storage; tells two engines of one machine apart. */
  readonly storage: string;
  readonly selinux: boolean;
  /** Processors of its machine. */
  readonly cpus: number;
  readonly runtimes: readonly string[];
  /** The one of a container that asks for none. */
  readonly defaultRuntime: string | undefined;
}

const PROBE_TIMEOUT_MS = 5_000;
/** Bounds every call that the engine answers by itself: making, starting, removing, looking. */
const CALL_TIMEOUT_MS = 60_000;

/** A call's own bound, and the caller's. */
export const bounded = (signal?: AbortSignal, timeoutMs = CALL_TIMEOUT_MS): AbortSignal =>
  timeoutSignal(timeoutMs, signal);

/**
 * Finds the engine of this kind that answers, by the environment or in the usual places.
 *
 * @throws StatusError DRIVER_UNAVAILABLE with where it was looked for and what to do; DRIVER_REFUSED for a wrong address
 */
export async function findEngine(kind: EngineKind, addresses: EngineAddresses, signal: AbortSignal): Promise<Engine> {
  const candidates = engineAddresses(kind, addresses);
  const troubles: string[] = [];
  for (const { url } of candidates) {
    const docker = new Docker(toDockerOptions(url, addresses.certPath));
    try {
      const found = await describe(docker, url, bounded(signal, PROBE_TIMEOUT_MS));
      if (found.kind === kind) return found;
      troubles.push(`${url} is ${found.kind}: set CONTAINER_DRIVER=${found.kind}-host, or name another engine`);
    } catch (error) {
      signal.throwIfAborted();
      troubles.push(`${url}: ${engineTrouble(error)}`);
    }
  }
  throw new StatusError('DRIVER_UNAVAILABLE', `no ${NAMES[kind]} answers: ${toRemedy(kind, troubles, addresses)}`);
}

const NAMES = { docker: 'Docker Engine', podman: 'Podman' } as const;
const START = {
  docker: 'start Docker (systemctl start docker), or set DOCKER_HOST',
  podman: `start its service (systemctl ${process.getuid?.() === 0 ? '' : '--user '}start podman.socket, or podman system service --time=0), or set CONTAINER_HOST`,
} as const;

function toRemedy(kind: EngineKind, troubles: readonly string[], { runtimeDir }: EngineAddresses): string {
  if (troubles.length > 0) return `${troubles.join('; ')}; ${START[kind]}`;
  return `there is no socket at ${usualSockets(kind, runtimeDir).join(' or ')}; ${START[kind]}`;
}

/** As much of the answers of /version and /info as is used; both engines give it. */
interface Version {
  readonly Version: string;
  readonly Components?: readonly { readonly Name: string }[];
}

interface Info {
  readonly MemoryLimit: boolean;
  readonly SwapLimit: boolean;
  readonly CpuCfsQuota: boolean;
  readonly PidsLimit: boolean;
  readonly DockerRootDir: string;
  readonly NCPU: number;
  readonly SecurityOptions?: readonly string[];
  readonly Rootless?: boolean;
  readonly CgroupVersion?: string;
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly DefaultRuntime?: string;
}

async function describe(docker: Docker, url: string, signal: AbortSignal): Promise<Engine> {
  const ask = <T>(path: string) => callEngine<T>({ docker }, { method: 'GET', path, answer: 'json', signal });
  const [version, info] = await Promise.all([ask<Version>('/version'), ask<Info>('/info')]);
  const security = info.SecurityOptions ?? [];
  const rootless = info.Rootless === true || security.some((option) => option.includes('rootless'));
  // Only the second version of control groups can be handed to a user; what an engine says of the first is of root's.
  const can = (limit: boolean) => limit && !(rootless && info.CgroupVersion !== '2');
  return {
    docker,
    url,
    kind: version.Components?.some(({ Name }) => Name.startsWith('Podman')) ? 'podman' : 'docker',
    version: version.Version,
    rootless,
    limits: {
      memory: can(info.MemoryLimit),
      swap: can(info.SwapLimit),
      cpu: can(info.CpuCfsQuota),
      pids: can(info.PidsLimit),
    },
    storage: info.DockerRootDir,
    selinux: security.some((option) => option.includes('selinux')),
    cpus: info.NCPU,
    runtimes: Object.keys(info.Runtimes ?? {}),
    defaultRuntime: info.DefaultRuntime || undefined,
  };
}
