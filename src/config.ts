import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { ConfigError, type ConfigProblem } from './config/config-error.js';
import { nearest } from './config/nearest.js';
import { VARIABLES, type DriverName, type Values, type VariableName } from './config/variables.js';
import { isPassedOn, SHIP_ENV_PREFIX, toShipEnvironment } from './ship-environment.js';
import { parseDatabaseUrl } from './store/database-url.js';
import type { NetworkException } from './drivers/network-filter.js';
import type { ShipSpec } from './ships/ship.js';
import type { LogLevel } from './telemetry/log.js';

/** What Bay is told, checked and with its defaults. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly accessToken: string;
  readonly usesDefaultToken: boolean;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly corsOrigins: readonly string[];
  readonly databaseFile: string;
  /** SHIPYARD_STATE_DIR; the deployment's key lies there. */
  readonly stateDir: string;
  readonly maxShips: number;
  readonly whenFull: 'reject' | 'wait';
  readonly driver: DriverName | undefined;
  readonly dockerImage: string;
  readonly dockerNetwork: string;
  /** Where to look for an engine. */
  readonly engine: {
    readonly dockerHost?: string;
    readonly containerHost?: string;
    readonly certPath?: string;
    readonly runtimeDir?: string;
  };
  /** SHIP_RUNTIME. */
  readonly shipRuntime: string | undefined;
  readonly kubernetes: {
    readonly kubeconfig?: string;
    readonly context?: string;
    readonly namespace?: string;
    readonly storageClass?: string;
    readonly storageSize: string;
    readonly imagePullSecret?: string;
    readonly runtimeClass?: string;
    readonly serviceAccount?: string;
    readonly podSecurity: 'baseline' | 'restricted';
    readonly hostUsers?: boolean;
    /** KUBE_POD_TEMPLATE: the file. */
    readonly podTemplateFile?: string;
  };
  readonly defaultTtlSeconds: number;
  readonly defaultSpec: ShipSpec;
  readonly startTimeoutMs: number;
  readonly maxUploadBytes: number;
  readonly shipDataDir: string;
  readonly shipNetwork: 'none' | 'internet' | 'open' | undefined;
  readonly shipNetworkAllow: readonly NetworkException[];
  readonly uidBase: number;
  readonly localIsolation: 'auto' | 'none';
  readonly ephemeral: boolean;
  readonly executionLogMaxBytes: number;
  readonly shipLogMaxBytes: number;
  /** Of code in ships. */
  readonly shipEnvironment: Readonly<Record<string, string>>;
  readonly python: string | undefined;
  /** XDG_RUNTIME_DIR, where sockets of local ships lie. */
  readonly runtimeDir: string | undefined;
  readonly logLevel: LogLevel;
  /** What the operator should know of these settings. */
  readonly warnings: readonly string[];
}

export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where `.env` is looked for, and relative paths begin. */
  readonly cwd: string;
}

/**
 * Reads the environment, and `.env` below it. Names are taken in any case, an empty value counts as unset.
 *
 * @throws ConfigError with everything that is wrong
 */
export function loadConfig(sources: ConfigSources = { env: process.env, cwd: process.cwd() }): Config {
  const problems: ConfigProblem[] = [];
  const file = readEnvFile(sources.cwd, problems);
  const env = { ...file, ...sources.env };
  const values = readValues(env, problems);
  const config = toConfig(values, env, sources.cwd, problems);
  problems.push(...checkShipVariables(env));
  if (problems.length > 0) throw new ConfigError(problems.map(withFile));
  return config;

  /** With the file where the value stands, unless the environment wins over it. */
  function withFile(problem: ConfigProblem): ConfigProblem {
    const stands = (names: object) => Object.keys(names).some((name) => name.toUpperCase() === problem.variable);
    return stands(file) && !stands(sources.env) ? { ...problem, file: path.join(sources.cwd, '.env') } : problem;
  }
}

/** What compose.yaml takes beside Bay's own, from the same file. */
const OF_COMPOSE = new Set(['BAY_ADDRESS', 'DOCKER_SOCKET']);

function readEnvFile(cwd: string, problems: ConfigProblem[]): Record<string, string> {
  const file = path.join(cwd, '.env');
  if (!existsSync(file)) return {};
  const entries = parseEnv(readFileSync(file, 'utf8')) as Record<string, string>;
  const names = Object.keys(VARIABLES);
  for (const name of Object.keys(entries)) {
    if (names.includes(name.toUpperCase()) || name.startsWith(SHIP_ENV_PREFIX) || isPassedOn(name)) continue;
    if (OF_COMPOSE.has(name)) continue;
    const near = nearest(name.toUpperCase(), names);
    const text = near ? `unknown; did you mean ${near}?` : 'unknown';
    problems.push({ variable: name, file, allowed: text });
  }
  return entries;
}

function readValues(env: ConfigSources['env'], problems: ConfigProblem[]): Values {
  const given = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || value === '') continue;
    // The usual spelling wins over another one.
    if (name === name.toUpperCase() || !given.has(name.toUpperCase())) given.set(name.toUpperCase(), value);
  }
  const values: Partial<Record<VariableName, unknown>> = {};
  for (const name of Object.keys(VARIABLES) as VariableName[]) {
    const { schema, secret } = VARIABLES[name];
    const text = given.get(name);
    const parsed = schema.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else {
      const allowed = parsed.error.issues.map((issue) => issue.message).join('; ');
      problems.push({ variable: name, value: secret ? '(not shown)' : text, allowed });
      values[name] = schema.parse(undefined);
    }
  }
  return values as Values;
}

function toConfig(values: Values, env: ConfigSources['env'], cwd: string, problems: ConfigProblem[]): Config {
  const resolve = (text: string) => path.resolve(cwd, text.replace(/^~(?=$|\/)/, env.HOME || homedir()));
  const databaseFile = parseDatabaseUrl(values.DATABASE_URL, cwd);
  if (databaseFile === undefined) {
    const allowed = 'must be sqlite:///relative/file or sqlite:////absolute/file, with or without +aiosqlite';
    problems.push({ variable: 'DATABASE_URL', value: withoutCredential(values.DATABASE_URL), allowed });
  }
  if (values.PORT !== 0 && values.PORT === values.GRPC_PORT) {
    problems.push({ variable: 'GRPC_PORT', value: `${values.GRPC_PORT}`, allowed: 'must differ from PORT' });
  }
  const { environment, withheld } = toShipEnvironment(env);
  const shipDataDir = resolve(values.SHIP_DATA_DIR ?? '~/.shipyard/ships');
  return {
    ...readListening(values, problems),
    port: values.PORT,
    grpcPort: values.GRPC_PORT,
    accessToken: values.ACCESS_TOKEN,
    tls: readTls(values, resolve, problems),
    corsOrigins: values.CORS_ORIGINS,
    databaseFile: databaseFile ?? '',
    stateDir: resolve(values.SHIPYARD_STATE_DIR),
    maxShips: values.MAX_SHIP_NUM,
    whenFull: values.BEHAVIOR_AFTER_MAX_SHIP,
    driver: values.CONTAINER_DRIVER,
    dockerImage: values.DOCKER_IMAGE,
    dockerNetwork: values.DOCKER_NETWORK,
    engine: {
      ...(values.DOCKER_HOST === undefined ? {} : { dockerHost: values.DOCKER_HOST }),
      ...(values.CONTAINER_HOST === undefined ? {} : { containerHost: values.CONTAINER_HOST }),
      ...(values.DOCKER_CERT_PATH === undefined ? {} : { certPath: resolve(values.DOCKER_CERT_PATH) }),
      ...(env.XDG_RUNTIME_DIR ? { runtimeDir: env.XDG_RUNTIME_DIR } : {}),
    },
    shipRuntime: values.SHIP_RUNTIME,
    kubernetes: readKubernetes(values, resolve),
    defaultTtlSeconds: values.DEFAULT_SHIP_TTL,
    defaultSpec: { cpus: values.DEFAULT_SHIP_CPUS, memoryBytes: values.DEFAULT_SHIP_MEMORY },
    startTimeoutMs: values.SHIP_HEALTH_CHECK_TIMEOUT * 1000,
    maxUploadBytes: values.MAX_UPLOAD_SIZE,
    shipDataDir,
    shipNetwork: values.SHIP_NETWORK,
    shipNetworkAllow: values.SHIP_NETWORK_ALLOW,
    uidBase: values.LOCAL_UID_BASE,
    localIsolation: values.LOCAL_DRIVER_ISOLATION,
    ephemeral: values.BAY_EPHEMERAL,
    executionLogMaxBytes: values.EXECUTION_LOG_MAX_BYTES,
    shipLogMaxBytes: values.SHIP_LOG_MAX_BYTES,
    shipEnvironment: environment,
    python: values.SHIPYARD_PYTHON && resolve(values.SHIPYARD_PYTHON),
    runtimeDir: env.XDG_RUNTIME_DIR || undefined,
    logLevel: values.LOG_LEVEL ?? (values.DEBUG ? 'debug' : 'info'),
    warnings: [...warnOfOldData(values, resolve, shipDataDir), ...warnOfWithheld(withheld)],
  };
}

function checkShipVariables(env: ConfigSources['env']): ConfigProblem[] {
  const names = Object.keys(env).filter((name) => name.startsWith(SHIP_ENV_PREFIX));
  const wrong = names.filter((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name.slice(SHIP_ENV_PREFIX.length)));
  return wrong.map((variable) => ({ variable, allowed: 'must go on as a name of letters, digits and _' }));
}

/** The default, and the one of the README's tour. */
const PUBLISHED_TOKENS = ['secret-token', 'change-me'];

/** A token that the documentation shows is known to everybody: with it Bay is reachable from this machine alone. */
function readListening(values: Values, problems: ConfigProblem[]): Pick<Config, 'host' | 'usesDefaultToken'> {
  const usesDefaultToken = PUBLISHED_TOKENS.includes(values.ACCESS_TOKEN);
  const host = values.HOST ?? (usesDefaultToken ? '127.0.0.1' : '0.0.0.0');
  if (usesDefaultToken && !isLoopback(host)) {
    const allowed = `is one that the documentation shows, and Bay listens beyond loopback (HOST=${host}): set one of your own`;
    problems.push({ variable: 'ACCESS_TOKEN', allowed });
  }
  return { host, usesDefaultToken };
}

export function isLoopback(host: string): boolean {
  return /^127(\.\d{1,3}){3}$/.test(host) || host === '::1' || host.toLowerCase() === 'localhost';
}

function readTls(values: Values, resolve: (text: string) => string, problems: ConfigProblem[]): Config['tls'] {
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key } = values;
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) problems.push({ variable: 'TLS_CERT_FILE', allowed: 'must be set where TLS_KEY_FILE is' });
  if (key === undefined) problems.push({ variable: 'TLS_KEY_FILE', allowed: 'must be set where TLS_CERT_FILE is' });
  for (const [variable, value] of Object.entries({ TLS_CERT_FILE: cert, TLS_KEY_FILE: key })) {
    if (value !== undefined && !existsSync(resolve(value))) {
      problems.push({ variable, value, allowed: 'must be a PEM file that is there' });
    }
  }
  return { certFile: resolve(cert ?? ''), keyFile: resolve(key ?? '') };
}

function readKubernetes(values: Values, resolve: (text: string) => string): Config['kubernetes'] {
  const given = {
    kubeconfig: values.KUBECONFIG?.split(path.delimiter).map(resolve).join(path.delimiter),
    context: values.KUBE_CONTEXT,
    namespace: values.KUBE_NAMESPACE,
    storageClass: values.KUBE_STORAGE_CLASS,
    imagePullSecret: values.KUBE_IMAGE_PULL_SECRET,
    runtimeClass: values.KUBE_RUNTIME_CLASS,
    serviceAccount: values.KUBE_SERVICE_ACCOUNT,
    hostUsers: values.KUBE_HOST_USERS,
    podTemplateFile: values.KUBE_POD_TEMPLATE && resolve(values.KUBE_POD_TEMPLATE),
  };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...set, storageSize: values.KUBE_STORAGE_SIZE, podSecurity: values.KUBE_POD_SECURITY };
}

function warnOfOldData(values: Values, resolve: (text: string) => string, shipDataDir: string): string[] {
  const old = resolve('~/ship_data');
  if (values.SHIP_DATA_DIR !== undefined || !existsSync(old)) return [];
  return [`${old} holds data of the original Shipyard; set SHIP_DATA_DIR=${old} to use them (now: ${shipDataDir})`];
}

function warnOfWithheld(withheld: readonly string[]): string[] {
  return withheld.map((name) => `${name} holds a credential and does not reach ships; SHIP_ENV_${name} passes it on`);
}

function withoutCredential(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//…@');
}

/** The variables as a Markdown table, for the README. */
export function configTable(): string {
  const rows = (Object.keys(VARIABLES) as VariableName[]).map((name) => {
    const { byDefault, doc } = VARIABLES[name];
    return `| \`${name}\` | ${byDefault === '' ? '' : `\`${byDefault}\``} | ${doc} |`;
  });
  rows.push(
    `| \`${SHIP_ENV_PREFIX}<NAME>\` | | Becomes \`NAME\` in the environment of code in ships. \`SHIP_ENV_PATH\` replaces nothing: its folders are looked in before the system's, after the session's own. |`,
  );
  return ['| variable | default | meaning |', '|---|---|---|', ...rows, ''].join('\n');
}
