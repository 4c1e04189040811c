/**
 * A way into Bay, in words that every way can be compared by. A scenario names the abilities that it needs, and runs over
 * every way that has them: none that could express it can be left out.
 */
export type Ability =
  | 'cells'
  | 'commands'
  | 'text-files'
  | 'file-streams'
  /** Events as they happen, numbered; attach; controls. */
  | 'executions'
  | 'ships';

export interface CellOutcome {
  readonly success: boolean;
  /** Printed text, results and displays in arrival order, without white space at both ends. */
  readonly text: string;
  /** PNG pictures as base64. */
  readonly images: readonly string[];
  /** Traceback lines joined, without colours; empty without an error. */
  readonly error: string;
  readonly executionCount: number | null;
}

export interface CommandOutcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A failure as the way shows it, with what all ways have in common. */
export class WayError extends Error {
  constructor(
    /** HTTP status of the ship's reason. */
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface Way {
  readonly name: string;
  readonly abilities: ReadonlySet<Ability>;
  createShip(session: string, options?: { ttlSeconds?: number; maxSessionNum?: number }): Promise<string>;
  deleteShip(shipId: string): Promise<void>;
  in(shipId: string, session: string): SessionWay;
  close(): Promise<void>;
}

export interface SessionWay {
  runCell(code: string, options?: { timeoutSeconds?: number; silent?: boolean }): Promise<CellOutcome>;
  runCommand(
    command: string,
    options?: { timeoutSeconds?: number; cwd?: string; env?: Record<string, string> },
  ): Promise<CommandOutcome>;
  writeFile(path: string, content: string): Promise<void>;
  readFile(path: string): Promise<string>;
  editFile(path: string, oldString: string, newString: string): Promise<number>;
  deleteFile(path: string): Promise<void>;
  listNames(path: string): Promise<string[]>;
  upload?(path: string, data: Uint8Array): Promise<void>;
  download?(path: string): Promise<Uint8Array>;
}

export const withoutColours = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, '');
