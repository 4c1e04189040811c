/**
 * A session's hands inside its sandbox. The session runner is a small Python process that lives in the session's own
 * sandbox as the session's own user; the agent outside asks it to start processes and to touch files. Everything that a
 * session's code could turn against the agent (links, races, quotas) happens with the session's rights only.
 */
import type { Readable, Writable } from 'node:stream';

export interface SpawnSpec {
  readonly argv: readonly string[];
  /** Relative to the workspace, or absolute; checked to lie inside the workspace. */
  readonly cwd?: string;
  /** Added to the session's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: boolean;
  /** Frozen name for the runner's bookkeeping, unique among live processes of the session. */
  readonly name: string;
}

export type ProcessExit =
  | { readonly kind: 'exited'; readonly code: number; readonly oom?: boolean }
  | { readonly kind: 'signaled'; readonly signal: NodeJS.Signals; readonly oom?: boolean }
  /** The runner, and with it the whole sandbox, went away. */
  | { readonly kind: 'lost' };

/** A process in the session: leader of its own process group and session. */
export interface SessionProcess {
  /** As the session sees it. */
  readonly pid: number;
  /** The kernel's own pipes: reading slowly stops the writer, and a pipe is at EOF when its last holder closed it. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly stdin?: Writable;
  readonly exited: Promise<ProcessExit>;
  /** To the process group; `tree` also reaches descendants that left it. */
  kill(signal: NodeJS.Signals, options?: { tree?: boolean }): void;
  /** A process that works more than once begins anew: kills for want of memory before now do not explain its end. */
  workBegins(): void;
}

export interface TerminalSpec extends SpawnSpec {
  readonly columns: number;
  readonly rows: number;
  readonly term: string;
}

/** A process on a pseudo-terminal of node-pty. */
export interface SessionTerminal {
  readonly pid: number;
  /** Everything the terminal showed, to the last byte; ends after the process's end once the master is drained. */
  readonly output: Readable;
  readonly exited: Promise<ProcessExit>;
  /** Writes what the terminal takes now; returns the bytes taken. */
  write(data: Uint8Array): number;
  resize(columns: number, rows: number): void;
  /** To the program's process group; `foreground`: to the group that the terminal's keys would reach. */
  kill(signal: NodeJS.Signals, options?: { tree?: boolean; foreground?: boolean }): void;
}

export interface FileStat {
  readonly name: string;
  readonly path: string;
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly sizeBytes: number;
  readonly modifyTimeMs: number;
  readonly mode: number;
  readonly linkTarget: string;
}

export interface SessionRunner {
  readonly sessionId: string;
  /** Absolute, as the session sees them. */
  readonly home: string;
  readonly workspace: string;
  /** A directory for sockets that both sides see: the kernel binds there, the agent connects. */
  readonly socketDir: { readonly outside: string; readonly inside: string };
  /** The session's own Python, as the session sees it. */
  readonly python: string;
  /** Where ship/python/ lies inside the sandbox, read-only. */
  readonly supportDir: string;

  spawn(spec: SpawnSpec): Promise<SessionProcess>;
  openTerminal(spec: TerminalSpec): Promise<SessionTerminal>;
  /** One file operation of ship/python/shipyard_files.py; rejects with a StatusError of the file reasons. */
  fileOperation<T>(operation: string, args: Readonly<Record<string, unknown>>): Promise<T>;
  /** Opens a regular file for reading; the stream is a pipe that the runner fills. */
  openRead(path: string, range?: { offset?: number; length?: number }): Promise<{ info: FileStat; data: Readable }>;
  /** Opens a temporary sibling; commit() makes it the file, abort() (or losing the runner) leaves nothing. */
  openWrite(path: string, options?: { mode?: number; sizeBytes?: number }): Promise<FileWriter>;
  /** Ends every process of the session and the sandbox with them. Safe to repeat. */
  close(): Promise<void>;
  /** Resolves when the runner is gone, for whatever reason. */
  readonly gone: Promise<void>;
}

export interface FileWriter {
  /** Writable straight into the runner's pipe; honours back-pressure. */
  readonly data: Writable;
  commit(): Promise<{ path: string; sizeBytes: number }>;
  abort(): Promise<void>;
}

/** What BindSession says of a session. */
export interface SessionBinding {
  readonly sessionId: string;
  readonly uid: number;
  /** Name of its directory in homesDir; checked by the service against [A-Za-z0-9._-]{1,64}, not "." or "..". */
  readonly homeName: string;
}

/** Makes runners. One per agent. */
export interface SessionRunnerFactory {
  /** Prepares home and workspace where they are missing, starts the sandbox and its runner; answers when it takes work. */
  open(binding: SessionBinding): Promise<SessionRunner>;
}

/** The sessions that are bound, as the kinds of work and the files see them. */
export interface SessionDirectory {
  /** The session's runner; opened again where the last one went away. Rejects with SESSION_NOT_BOUND, SHUTTING_DOWN. */
  runner(sessionId: string): Promise<SessionRunner>;
}
