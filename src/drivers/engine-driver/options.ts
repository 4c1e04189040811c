import type { Log } from '../../telemetry/log.js';
import type { NetworkException } from '../network-filter.js';

export type EngineKind = 'docker' | 'podman';
/** `*-host`: Bay on the engine's machine. The others: Bay in a container of the same engine and network. */
export type EngineMode = EngineKind | `${EngineKind}-host`;

/** What says where an engine is; the composition root takes it from the environment. */
export interface EngineAddresses {
  /** DOCKER_HOST and CONTAINER_HOST. */
  readonly dockerHost?: string;
  readonly containerHost?: string;
  /** DOCKER_CERT_PATH: a folder with ca.pem, cert.pem and key.pem, for an engine over TCP. */
  readonly certPath?: string;
  /** XDG_RUNTIME_DIR, where engines without root have their sockets. */
  readonly runtimeDir?: string;
}

/** What the engine driver is told; the composition root takes it from the configuration. */
export interface EngineDriverOptions {
  readonly mode: EngineMode;
  readonly addresses: EngineAddresses;
  /** Marks what belongs to this deployment; ships of others are never touched. */
  readonly deploymentId: string;
  /** DOCKER_IMAGE. */
  readonly image: string;
  /** DOCKER_NETWORK; made where it is missing. */
  readonly network: string;
  /** Data of ships that outlive them: `<shipDataDir>/<ship_id>/{home,state}`, as Bay sees them. Made with mode 0700. */
  readonly shipDataDir: string;
  /** SHIP_NETWORK; unset: `internet` where it can be had with its filter, else `none`. */
  readonly shipNetwork?: 'none' | 'internet' | 'open';
  readonly shipNetworkAllow: readonly NetworkException[];
  /** SHIP_RUNTIME: the engine's name of another OCI runtime, as runsc or kata. */
  readonly runtime?: string;
  readonly ephemeral: boolean;
  /** The sessions' environment beyond PATH, HOME, USER and TERM. */
  readonly shipEnvironment: Readonly<Record<string, string>>;
  readonly executionLogMaxBytes?: number;
  readonly shipLogMaxBytes?: number;
  readonly logLevel?: string;
  /** Processes and threads of a whole ship. */
  readonly pidsMax?: number;
  readonly logger: Log;
}

export const kindOf = (mode: EngineMode): EngineKind => (mode.startsWith('docker') ? 'docker' : 'podman');
/** Whether Bay runs on the engine's machine, and not in a container. */
export const isOnHost = (mode: EngineMode): boolean => mode.endsWith('-host');
