/**
 * The seam to the places where ships come to life. A driver knows nothing of sessions, leases or the store; everything
 * it creates can be found again by ship id and incarnation, also by another Bay after a crash.
 */
import type { Isolation, Ship, UidPolicy } from '../ships/ship.js';

/** How Bay dials a ship's agent. */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls?: EndpointTls };

/** Mutual TLS with the agent. */
export interface EndpointTls {
  /** Bay's own certificate, which the agent's authority must have signed. */
  readonly certPem: string;
  readonly keyPem: string;
  /** The authority that signed the agent's certificate. */
  readonly caPem: string;
  /** The name in the agent's certificate; its address is not known before it starts. */
  readonly serverName: string;
}

export interface StartOptions {
  /** This incarnation's token, for the agent alone. */
  readonly token: string;
  /** Whom the ship is made for: its agent prepares their place while Bay is still on its way. */
  readonly firstSession?: FirstSession;
  readonly signal: AbortSignal;
}

/** As Bay binds it later. */
export interface FirstSession {
  readonly sessionId: string;
  readonly uid: number;
  readonly homeName: string;
}

export interface StartedShip {
  /** Kept in the row; all that endpoint(), inspect() and stop() need. */
  readonly handle: Readonly<Record<string, unknown>>;
  readonly isolation: Isolation;
  /** The engine's name for it, for people: container id, process id. */
  readonly containerId: string;
  readonly ipAddress?: string;
  /** How long its parts took, in milliseconds, in their order. */
  readonly phasesMs?: Readonly<Record<string, number>>;
}

/** What the engine says of an incarnation. */
export type Inspection =
  /** @property trouble what the engine knows that keeps the agent from answering, if it does not answer */
  | { readonly state: 'running'; readonly trouble?: string }
  | { readonly state: 'gone'; readonly reason: string; readonly oom?: boolean };

export interface FoundShip {
  readonly shipId: string;
  readonly incarnation: number;
  readonly handle: Readonly<Record<string, unknown>>;
}

export interface Driver {
  readonly name: string;
  readonly uids: UidPolicy;
  /** Processors of the machine that does its starts, one each at a time; undefined: not known, or many machines. */
  readonly startsAtOnce?: number | undefined;
  /** Looks at the machine once at start. Rejects with DRIVER_UNAVAILABLE or DRIVER_REFUSED and a text that names the remedy. */
  check(signal: AbortSignal): Promise<DriverReport>;
  /**
   * Whether what makes ships answers now. Rejects with a StatusError where it does not, and no new ship can be made; its
   * message is for everybody. A driver without it needs nothing but the machine that Bay runs on.
   */
  ping?(signal: AbortSignal): Promise<void>;
  /** Begins an incarnation; answers when its agent can be dialled (readiness is Hello, judged by the caller). */
  start(ship: Ship, options: StartOptions): Promise<StartedShip>;
  endpoint(handle: Readonly<Record<string, unknown>>): Endpoint;
  inspect(ship: Ship): Promise<Inspection>;
  /** Ends the incarnation by force and removes everything of it but the workspaces. Safe to repeat, and when it is gone. */
  stop(ship: Ship, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Removes workspaces and logs. */
  removeData(shipId: string): Promise<void>;
  /** Whether data of an earlier life are there. */
  hasData(shipId: string): Promise<boolean>;
  /** Everything of this deployment that lives, whatever the store says. */
  list(): Promise<readonly FoundShip[]>;
  /** What agent and engine wrote. */
  logs(ship: Ship, options: { readonly follow: boolean; readonly signal: AbortSignal }): AsyncIterable<string>;
  /** Resolves when this incarnation dies, where the driver can see it without polling; else never. */
  died?(ship: Ship, signal: AbortSignal): Promise<Inspection>;
  /** Lets go of the engine; ships live on. */
  close?(): Promise<void>;
}

export interface DriverReport {
  /** One line for the start: engine, version, mode. */
  readonly summary: string;
  readonly network: 'none' | 'internet' | 'open';
  /** What users should know: missing limits, missing isolation. */
  readonly warnings: readonly string[];
}
