/** The domain's words, as the store keeps them and the drivers know them. */

export type ShipState = 'CREATING' | 'RUNNING' | 'STOPPING' | 'STOPPED' | 'FAILED';

export interface ShipSpec {
  readonly cpus: number;
  readonly memoryBytes: number;
}

/** What holds a ship's code, as it is in force. */
export interface Isolation {
  readonly kind: 'user-namespace' | 'uid' | 'container' | 'none';
  readonly network: 'none' | 'internet' | 'open';
  readonly limits: readonly string[];
  /** What was asked for and cannot be enforced here, with the reason. */
  readonly missing: readonly string[];
  /** The OCI runtime, or the RuntimeClass, by the engine's name for it; unset where none can be named. */
  readonly runtime?: string;
}

export interface Ship {
  readonly id: string;
  readonly state: ShipState;
  /** +1 for every start; fences late acts of an earlier life. */
  readonly incarnation: number;
  /** +1 for every change of state; the number that ship-level acts carry to the agent. */
  readonly fence: number;
  readonly driver: string;
  readonly spec: ShipSpec;
  readonly maxSessionNum: number;
  /** Seconds asked for when it was last created, restored or extended. */
  readonly ttlSeconds: number;
  readonly createTime: Date;
  readonly updateTime: Date;
  /** Why it failed, stops or stopped; empty while it runs, and while it comes to run. */
  readonly stateReason: string;
  /** What the driver needs to find, adopt and end this incarnation; JSON of the driver's own. */
  readonly handle: Readonly<Record<string, unknown>> | undefined;
  readonly isolation: Isolation | undefined;
  /** The engine's name for this incarnation, for people. */
  readonly containerId?: string;
  readonly ipAddress?: string;
}

/**
 * How Bay gives uids to sessions, which are not used again while their files are there: `deployment` counts over all
 * ships, where they share the machine's users; `ship` counts in each, where ships have users of their own.
 */
export interface UidPolicy {
  readonly scope: 'deployment' | 'ship';
  readonly base: number;
}

export interface Lease {
  readonly shipId: string;
  readonly sessionId: string;
  readonly uid: number;
  readonly homeName: string;
  readonly ttlSeconds: number;
  readonly createTime: Date;
  readonly lastActivityTime: Date;
  readonly expireTime: Date;
  /** Set when the seat was given up; the row stays for the uid and the workspace. */
  readonly endTime: Date | undefined;
}
