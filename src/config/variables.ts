import { z } from 'zod';
import { parseNetworkAllow } from '../drivers/network-filter.js';
import { MEMORY_GRAMMAR, parseMemoryBytes } from '../ships/memory.js';
import { LOG_LEVELS } from '../telemetry/log.js';

interface Variable<T> {
  /** From the text that was given, or from undefined to the default. Its messages say what is allowed. */
  readonly schema: z.ZodType<T, string | undefined>;
  /** As the table shows it. */
  readonly byDefault: string;
  /** One or two sentences for the README. */
  readonly doc: string;
  readonly secret?: boolean;
}

const DRIVERS = ['docker', 'docker-host', 'podman', 'podman-host', 'kubernetes', 'local'] as const;
export type DriverName = (typeof DRIVERS)[number];

/** Every variable that Bay knows, in the order of the README's table. */
export const VARIABLES = {
  HOST: variable({
    read: (text) => text,
    byDefault: '0.0.0.0',
    fallback: undefined,
    doc: 'Address to listen on; `::` listens on both families. While `ACCESS_TOKEN` is the default it is `127.0.0.1`, and nothing but a loopback address is taken.',
  }),
  PORT: variable({ ...port(), byDefault: '8156', fallback: 8156, doc: 'HTTP/JSON.' }),
  GRPC_PORT: variable({ ...port(), byDefault: '8157', fallback: 8157, doc: 'gRPC.' }),
  ACCESS_TOKEN: variable({
    read: (text) => (/^[\x21-\x7e]+$/.test(text) ? text : undefined),
    allowed: 'must consist of visible ASCII characters without spaces',
    byDefault: 'secret-token',
    fallback: 'secret-token',
    doc: 'The bearer token of every call. Set one of your own.',
    secret: true,
  }),
  TLS_CERT_FILE: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Certificate chain (PEM); with `TLS_KEY_FILE` both ports speak TLS.',
  }),
  TLS_KEY_FILE: variable({ read: (text) => text, byDefault: '', fallback: undefined, doc: 'Private key (PEM).' }),
  CORS_ORIGINS: variable({
    read: readOrigins,
    allowed: 'must be origins as https://example.org, separated by commas; never *',
    byDefault: '',
    fallback: [] as readonly string[],
    doc: 'Origins whose pages may call Bay from a browser, separated by commas. Unset: none.',
  }),
  MAX_UPLOAD_SIZE: variable({
    ...bytes(),
    byDefault: '104857600',
    fallback: 104_857_600,
    doc: 'Largest upload, in bytes.',
  }),
  CONTAINER_DRIVER: variable({
    ...oneOf(DRIVERS),
    byDefault: '',
    fallback: undefined,
    doc: 'Where ships live: `docker-host` and `podman-host` for a Bay on the machine of that engine, `docker` and `podman` for one in a container beside its ships, `kubernetes` for Pods of a cluster, `local` without an engine. Unset: Docker where it answers and has the image, else Podman likewise, else the cluster that Bay runs in, else `local`.',
  }),
  MAX_SHIP_NUM: variable({
    ...integer(1, 1_000_000),
    byDefault: '10',
    fallback: 10,
    doc: 'Ships at once, those that start or stop included.',
  }),
  BEHAVIOR_AFTER_MAX_SHIP: variable({
    ...oneOf(['reject', 'wait']),
    byDefault: 'reject',
    fallback: 'reject' as const,
    doc: 'What a call for one more ship gets: `reject` answers 429 at once, `wait` queues it for at most 300 s, first come, first served.',
  }),
  DEFAULT_SHIP_TTL: variable({
    ...integer(1, 3_153_600_000),
    byDefault: '3600',
    fallback: 3600,
    doc: 'Seconds that a lease lasts beyond its last use, where the call does not say.',
  }),
  DEFAULT_SHIP_CPUS: variable({
    read: (text) => (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0 ? Number(text) : undefined),
    allowed: 'must be a number greater than 0',
    byDefault: '1.0',
    fallback: 1,
    doc: 'CPUs of a ship, where the call does not say.',
  }),
  DEFAULT_SHIP_MEMORY: variable({
    read: parseMemoryBytes,
    allowed: `must be ${MEMORY_GRAMMAR}`,
    byDefault: '512m',
    fallback: 512 * 1024 ** 2,
    doc: 'Memory of a ship, where the call does not say: an integer with `k`, `m` or `g`, or `Ki`, `Mi` or `Gi` (powers of 1024).',
  }),
  SHIP_HEALTH_CHECK_TIMEOUT: variable({
    ...integer(1, 86_400),
    byDefault: '60',
    fallback: 60,
    doc: 'Seconds that a ship may take until it answers.',
  }),
  SHIP_HEALTH_CHECK_INTERVAL: variable({
    read: (text) => (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0 ? Number(text) : undefined),
    allowed: 'must be a number greater than 0',
    byDefault: '2',
    fallback: 2,
    doc: 'Taken for compatibility and not used: a ship is dialled until it answers, without pauses to speak of.',
  }),
  SHIP_DATA_DIR: variable({
    read: (text) => text,
    byDefault: '~/.shipyard/ships',
    fallback: undefined,
    doc: 'Workspaces, logs and state of ships.',
  }),
  DATABASE_URL: variable({
    read: (text) => text,
    byDefault: 'sqlite+aiosqlite:///./bay.db',
    fallback: 'sqlite+aiosqlite:///./bay.db',
    doc: 'SQLite file: `sqlite:///relative` or `sqlite:////absolute`, with or without `+aiosqlite`. One of the original Shipyard is copied aside and taken over.',
  }),
  SHIPYARD_STATE_DIR: variable({
    read: (text) => text,
    byDefault: '~/.shipyard',
    fallback: '~/.shipyard',
    doc: 'Holds the key from which the tokens of ships are made. Mode 0700.',
  }),
  SHIP_NETWORK: variable({
    ...oneOf(['none', 'internet', 'open']),
    byDefault: '',
    fallback: undefined,
    doc: 'What ships reach: nothing (`none`), public addresses (`internet`), or all that the machine does (`open`). Unset: `internet` where it can be filtered, else `none`.',
  }),
  SHIP_NETWORK_ALLOW: variable({
    read: readNetworkAllow,
    allowed: 'must be CIDR[:port], separated by commas',
    byDefault: '',
    fallback: [],
    doc: 'Exceptions from the filter of `internet`, as `10.1.2.3/32:3128`, separated by commas: a mirror, a proxy.',
  }),
  EXECUTION_LOG_MAX_BYTES: variable({
    ...bytes(),
    byDefault: '1073741824',
    fallback: 1024 ** 3,
    doc: 'Output kept of one execution, in bytes.',
  }),
  SHIP_LOG_MAX_BYTES: variable({
    ...bytes(),
    byDefault: '4294967296',
    fallback: 4 * 1024 ** 3,
    doc: 'Output kept of all executions of a ship, in bytes.',
  }),
  LOCAL_DRIVER_ISOLATION: variable({
    ...oneOf(['auto', 'none']),
    byDefault: 'auto',
    fallback: 'auto' as const,
    doc: '`none` runs code with the rights of Bay, without a sandbox; Bay then warns at every start.',
  }),
  LOCAL_UID_BASE: variable({
    ...integer(1000, 2_147_000_000),
    byDefault: '1900000000',
    fallback: 1_900_000_000,
    doc: 'First uid of sessions, where Bay runs as root. Each session gets one of its own, which is not used again.',
  }),
  BAY_EPHEMERAL: variable({
    ...flag(),
    byDefault: 'false',
    fallback: false,
    doc: 'Ships end with Bay (for demos and tests).',
  }),
  DOCKER_IMAGE: variable({
    read: (text) => text,
    byDefault: 'ship:latest',
    fallback: 'ship:latest',
    doc: 'Image of ships, pulled where it is missing. Not used by `local`.',
  }),
  DOCKER_NETWORK: variable({
    read: (text) => text,
    byDefault: 'shipyard',
    fallback: 'shipyard',
    doc: 'Network of ships, made where it is missing. Not used by `local`. Bays of other databases share it only where all run on the machine, with the same `SHIP_NETWORK` and `SHIP_NETWORK_ALLOW`; otherwise they do not start until it is removed (`docker network rm`).',
  }),
  DOCKER_HOST: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Address of the engine, as `unix:///run/user/1000/docker.sock` or `tcp://host:port`. Unset: its usual sockets.',
  }),
  CONTAINER_HOST: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'The same for Podman, where it differs from `DOCKER_HOST`.',
  }),
  DOCKER_CERT_PATH: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Folder with `ca.pem`, `cert.pem` and `key.pem`, for an engine over TCP.',
  }),
  SHIP_RUNTIME: variable({
    read: (text) => (/^[A-Za-z0-9._/-]+$/.test(text) ? text : undefined),
    allowed: 'must be the name of an OCI runtime that the engine knows',
    byDefault: '',
    fallback: undefined,
    doc: 'Another OCI runtime for ships, by the name that the engine has for it: `runsc`, `kata`. Not used by `local`.',
  }),
  KUBECONFIG: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Of `kubernetes`: files that name the cluster and who Bay is there, as for kubectl. Unset: the service account of the Pod that Bay runs in, else `~/.kube/config`.',
  }),
  KUBE_CONTEXT: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'The context to use of `KUBECONFIG`. Unset: its current one.',
  }),
  KUBE_NAMESPACE: variable({
    read: (text) => (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text) ? text : undefined),
    allowed: 'must be the name of a namespace',
    byDefault: '',
    fallback: undefined,
    doc: 'Where ships live. Unset: the namespace of the context, or of Bay itself, else `default`.',
  }),
  KUBE_STORAGE_CLASS: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Storage class of the claims that hold workspaces. Unset: the default of the cluster.',
  }),
  KUBE_STORAGE_SIZE: variable({
    ...quantity(),
    byDefault: '10Gi',
    fallback: '10Gi',
    doc: 'Size of the claim of each ship.',
  }),
  KUBE_IMAGE_PULL_SECRET: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Secret with which nodes pull `DOCKER_IMAGE`.',
  }),
  KUBE_RUNTIME_CLASS: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Runtime class of ships, for gVisor or Kata.',
  }),
  KUBE_SERVICE_ACCOUNT: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Service account of ships, whose token code in them can then use. Unset: no token is mounted.',
  }),
  KUBE_POD_SECURITY: variable({
    ...oneOf(['baseline', 'restricted']),
    byDefault: 'baseline',
    fallback: 'baseline' as const,
    doc: 'The Pod Security level that ships pass. With `restricted` a ship has one user for agent and session, and takes one session at a time.',
  }),
  KUBE_HOST_USERS: variable({
    ...flag(),
    byDefault: '',
    fallback: undefined,
    doc: '`false` gives each ship a user namespace, where nodes can. Unset: as the cluster does by itself.',
  }),
  KUBE_POD_TEMPLATE: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'File (YAML or JSON) with `metadata` and `spec` that are merged into the Pod of each ship: tolerations, affinity, sidecars.',
  }),
  SHIPYARD_PYTHON: variable({
    read: (text) => text,
    byDefault: '',
    fallback: undefined,
    doc: 'Python of local ships, with ipykernel. Unset: `.venv` of the installation, then `python3`.',
  }),
  LOG_LEVEL: variable({
    read: (text) => LOG_LEVELS.find((level) => level === text.toLowerCase()),
    allowed: `must be one of ${LOG_LEVELS.join(', ')}`,
    byDefault: 'info',
    fallback: undefined,
    doc: '`debug`, `info`, `warn`, `error` or `silent`.',
  }),
  DEBUG: variable({
    ...flag(),
    byDefault: 'false',
    fallback: false,
    doc: 'The same as `LOG_LEVEL=debug`, where that is unset.',
  }),
};

export type VariableName = keyof typeof VARIABLES;
export type Values = { readonly [Name in VariableName]: z.output<(typeof VARIABLES)[Name]['schema']> };

interface Reading<T> {
  /** undefined where the text is not allowed. */
  readonly read: (text: string) => T | undefined;
  /** The end of a sentence that begins with the variable. */
  readonly allowed?: string;
}

function variable<T, F>(
  given: Reading<T> & {
    readonly byDefault: string;
    readonly fallback: F;
    readonly doc: string;
    readonly secret?: boolean;
  },
): Variable<T | F> {
  const { read, allowed = 'is not allowed', fallback, ...rest } = given;
  const schema = z
    .string()
    .optional()
    .transform((text, ctx): T | F => {
      if (text === undefined) return fallback;
      const value = read(text.trim());
      if (value !== undefined) return value;
      ctx.addIssue(allowed);
      return z.NEVER;
    });
  return { schema, ...rest };
}

function integer(min: number, max: number): Reading<number> {
  const read = (text: string) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    return value >= min && value <= max ? value : undefined;
  };
  return { read, allowed: `must be a whole number from ${min} to ${max}` };
}

function port(): Reading<number> {
  return { ...integer(0, 65_535), allowed: 'must be a port from 0 (any free one) to 65535' };
}

function bytes(): Reading<number> {
  return { ...integer(1, Number.MAX_SAFE_INTEGER), allowed: 'must be a whole number of bytes greater than 0' };
}

function quantity(): Reading<string> {
  const read = (text: string) =>
    /^\d+(\.\d+)?([KMGTPE]i?)?$/.test(text) && !/^[0.]+\D*$/.test(text) ? text : undefined;
  return { read, allowed: 'must be a quantity of bytes greater than 0, as 10Gi' };
}

function flag(): Reading<boolean> {
  const read = (text: string) => {
    if (/^(1|true|t|yes|y|on)$/i.test(text)) return true;
    return /^(0|false|f|no|n|off)$/i.test(text) ? false : undefined;
  };
  return { read, allowed: 'must be true or false' };
}

function oneOf<const T extends string>(names: readonly T[]): Reading<T> {
  return {
    read: (text) => names.find((name) => name === text.toLowerCase()),
    allowed: `must be one of ${names.join(', ')}`,
  };
}

function readOrigins(text: string): readonly string[] | undefined {
  const origins = text.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim().replace(/\/$/, '')]));
  return origins.every((origin) => /^https?:\/\/[^/*\s]+$/i.test(origin)) ? origins : undefined;
}

function readNetworkAllow(text: string) {
  try {
    return parseNetworkAllow(text);
  } catch {
    return undefined; // the variable's own text says what is allowed
  }
}
