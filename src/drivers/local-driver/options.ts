import type { Logger } from 'pino';
import type { NetworkException } from '../network-filter.js';

/** What the local driver is told; the composition root takes it from the configuration. */
export interface LocalDriverOptions {
  /** Data of ships that outlive them: `<shipDataDir>/<ship_id>/{home,state,log}`. Made with mode 0700. */
  readonly shipDataDir: string;
  /**
   * Where sockets and records of living ships lie, one directory of 8 hex digits each: `$XDG_RUNTIME_DIR/shipyard`.
   * Unset: `shipyard-<uid>` in the temporary folder. Keep it short: a socket's path has at most 100 bytes.
   */
  readonly runtimeDir?: string;
  /** Marks what belongs to this deployment; ships of others are never touched. */
  readonly deploymentId: string;
  /** Program and arguments of the agent; its configuration file is added as the last argument. */
  readonly agentCommand: readonly string[];
  /** The agent process's environment beyond PATH, HOME, LANG and TZ (allocator settings and the like). */
  readonly agentEnvironment?: Readonly<Record<string, string>>;
  /** ship/python of the installation. */
  readonly supportDir: string;
  /** The interpreter that has ipykernel. */
  readonly pythonExecutable: string;
  /** SHIP_NETWORK; unset: `internet` where it can be had with its filter, else `none`. */
  readonly shipNetwork?: 'none' | 'internet' | 'open';
  /** SHIP_NETWORK_ALLOW, parsed by parseNetworkAllow. */
  readonly shipNetworkAllow?: readonly NetworkException[];
  /** LOCAL_UID_BASE: sessions' uids start here (used as root). */
  readonly uidBase: number;
  /** LOCAL_DRIVER_ISOLATION. */
  readonly isolation: 'auto' | 'none';
  /** BAY_EPHEMERAL: a ship ends soon after its last link to Bay and leaves nothing but its data. */
  readonly ephemeral: boolean;
  /** The sessions' environment beyond PATH, HOME, USER and TERM (decisions: LANG, TZ, proxy, CA, index, SHIP_ENV_*). */
  readonly shipEnvironment?: Readonly<Record<string, string>>;
  /** Directories that sessions see read-only, beyond what the sandbox needs by itself. */
  readonly readOnlyPaths?: readonly string[];
  readonly executionLogMaxBytes?: number;
  readonly shipLogMaxBytes?: number;
  readonly logLevel?: string;
  /** Processes and threads of a whole ship. */
  readonly pidsMax?: number;
  /** How long an agent may take until it can be dialled. */
  readonly startTimeoutMs?: number;
  readonly logger: Logger;
}

export const DEFAULT_PIDS_MAX = 512;
export const DEFAULT_START_TIMEOUT_MS = 20_000;
