import type { HostConfig } from 'dockerode';
import type { Isolation, Ship } from '../../ships/ship.js';
import type { NewContainer } from './create-container.js';
import type { Engine } from './engine.js';
import { INSIDE } from '../inside.js';
import { tmpBytesOf, UNLIMITED_TMP_BYTES } from '../tmp-bytes.js';
import type { Attachment } from './attachment.js';
import { containerName, LABEL, shipLabels } from './labels.js';
import type { NetworkPolicy } from './network-policy.js';
import type { EngineDriverOptions } from './options.js';

export interface ContainerPlace {
  readonly engine: Engine;
  /** What the name of the image means just now. */
  readonly imageId: string;
  readonly policy: NetworkPolicy;
  /** The ship's own folder, as the engine's machine has it. */
  readonly dataOnMachine: string;
  readonly attachment: Attachment;
}

/** Processes and threads of a ship: a fork bomb leaves the machine usable. */
const DEFAULT_PIDS_MAX = 512;
/** Open files of one process. */
const NOFILE_MAX = 4096;
const LOG_MAX_BYTES = '10m';
const TMPFS = 'rw,nosuid,nodev';

/** A ship's container: nothing of the machine but the ship's own folder, and no right but to become a session's user. */
export function containerFor(ship: Ship, place: ContainerPlace, options: EngineDriverOptions): NewContainer {
  const { engine, policy, attachment } = place;
  const published = attachment === 'port';
  const port = `${INSIDE.port}/tcp`;
  const host: HostConfig = {
    Binds: [`${place.dataOnMachine}:${INSIDE.data}${engine.selinux ? ':z' : ''}`],
    NetworkMode: attachment === 'none' || attachment === 'late' ? 'none' : options.network,
    ...(published ? { PortBindings: { [port]: [{ HostIp: '127.0.0.1', HostPort: '' }] } } : {}),
    CapDrop: ['ALL'],
    CapAdd: ['SETUID', 'SETGID'],
    SecurityOpt: ['no-new-privileges'],
    IpcMode: 'private',
    Sysctls: { 'net.ipv6.conf.all.disable_ipv6': '1', 'net.ipv6.conf.default.disable_ipv6': '1' }, // the filter knows IPv4
    ReadonlyRootfs: true,
    Tmpfs: tmpfsFor(ship),
    ...limitsFor(ship, engine, options),
    LogConfig: { Type: 'json-file', Config: { 'max-size': LOG_MAX_BYTES, 'max-file': '2' } },
    RestartPolicy: { Name: 'no' },
    ...(options.runtime === undefined ? {} : { Runtime: options.runtime }),
  };
  return {
    name: containerName(options.deploymentId, ship),
    Image: place.imageId,
    Labels: { ...shipLabels(options.deploymentId, ship), [LABEL.network]: policy.network },
    Hostname: 'ship',
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    Healthcheck: { Test: ['NONE'] }, // Bay's link sees more, and costs no process
    ...(published ? { ExposedPorts: { [port]: {} } } : {}),
    HostConfig: host,
  };
}

/** Sockets and the like are all that belongs below /run. */
function tmpfsFor({ spec }: Ship): Record<string, string> {
  const tmpBytes = tmpBytesOf(spec) ?? UNLIMITED_TMP_BYTES;
  return {
    '/tmp': `${TMPFS},exec,mode=1777,size=${tmpBytes}`,
    '/var/tmp': `${TMPFS},exec,mode=1777,size=${Math.ceil(tmpBytes / 8)}`,
    '/run': `${TMPFS},mode=0755,size=16m`,
  };
}

function limitsFor({ spec }: Ship, { limits, kind }: Engine, options: EngineDriverOptions): HostConfig {
  return {
    ...(limits.memory && spec.memoryBytes > 0
      ? { Memory: spec.memoryBytes, ...(limits.swap ? { MemorySwap: spec.memoryBytes } : {}) }
      : {}),
    ...(limits.cpu && spec.cpus > 0 ? { NanoCpus: Math.round(spec.cpus * 1e9) } : {}),
    ...(limits.pids ? { PidsLimit: options.pidsMax ?? DEFAULT_PIDS_MAX } : {}),
    // Podman would set RLIMIT_NPROC with it, which counts the processes of all ships together.
    ...(kind === 'docker' ? { Ulimits: [{ Name: 'nofile', Soft: NOFILE_MAX, Hard: NOFILE_MAX }] } : {}),
  };
}

interface IsolatingPlace {
  readonly engine: Pick<Engine, 'kind' | 'rootless' | 'limits' | 'defaultRuntime'>;
  readonly policy: Pick<NetworkPolicy, 'network' | 'missing'>;
}

/** What holds a ship's code, and what was asked for and does not. */
export function isolationOf(
  { spec }: Ship,
  { engine, policy }: IsolatingPlace,
  options: Pick<EngineDriverOptions, 'runtime'>,
): Isolation {
  const runtime = options.runtime ?? engine.defaultRuntime;
  const asked = [
    { name: 'memory', wanted: spec.memoryBytes > 0, kept: engine.limits.memory },
    { name: 'cpu', wanted: spec.cpus > 0, kept: engine.limits.cpu },
    { name: 'pids', wanted: true, kept: engine.limits.pids },
    { name: 'nofile', wanted: engine.kind === 'docker', kept: true },
  ].filter(({ wanted }) => wanted);
  const cannot = `${engine.kind}${engine.rootless ? ' without root' : ''} cannot set it on this machine`;
  return {
    kind: 'container',
    network: policy.network,
    limits: asked.filter(({ kept }) => kept).map(({ name }) => name),
    missing: [
      ...asked.filter(({ kept }) => !kept).map(({ name }) => `${name} limit: ${cannot}`),
      ...(engine.limits.memory && !engine.limits.swap ? ['swap limit: the kernel does not count it'] : []),
      'disk quota: workspaces lie in a folder of the machine, which engines do not limit',
      ...policy.missing,
    ],
    ...(runtime === undefined ? {} : { runtime }),
  };
}
