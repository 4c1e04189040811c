import type { AgentConfig } from './config.js';
import type { BackgroundSink } from './executions/execution.js';
import type { SessionDirectory } from './workspace/session-runner.js';

/** The agent's log: facts as fields, never code, output or tokens. pino's shape. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the parts of the agent (python, shell, files) are given. */
export interface PartDeps {
  readonly config: AgentConfig;
  readonly log: Log;
  readonly sessions: SessionDirectory;
  background(sessionId: string): BackgroundSink;
  /** How long ago anybody asked for work, in milliseconds. */
  readonly quietMs: () => number;
}
