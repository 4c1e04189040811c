import { copyFileSync, fstatSync, ftruncateSync, writeSync } from 'node:fs';
import type { Log } from './part-deps.js';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];

export interface AgentLogOptions {
  /** The least that is written: "debug", "info", "warn", "error"; anything else counts as "info". */
  readonly level: string;
  /** Fields of every line. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The file that stderr leads to: kept to two of this size. */
  readonly file?: { readonly path: string; readonly maxBytes: number } | undefined;
}

const STDERR = 2;
/** Lines between two looks at the file's size: natives write to stderr too, so that counting does not do. */
const LOOK_EVERY = 200;

/**
 * The agent's log: JSON lines on stderr, which is a file that nobody but the agent lives long enough to rotate. Written
 * synchronously, so that the last words before a crash are there. (pino would cost a tenth of the agent's start.)
 */
export function createAgentLog(options: AgentLogOptions): Log {
  const known = LEVELS.indexOf(options.level as Level);
  const least = known < 0 ? LEVELS.indexOf('info') : known;
  let lines = 0;
  const write = (level: Level, fields: object, msg: string): void => {
    if (LEVELS.indexOf(level) < least) return;
    const line = { level, time: new Date().toISOString(), ...options.fields, ...plain(fields), msg };
    if (options.file && lines++ % LOOK_EVERY === 0) rotate(options.file);
    try {
      writeSync(STDERR, `${JSON.stringify(line)}\n`);
    } catch {
      // A log that cannot be written (a full disk) must not end the ship; there is nowhere to say so.
    }
  };
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
  };
}

/** Errors as JSON knows them, with their causes. */
function plain(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, isError(value) ? toPlain(value) : value]),
  );
}

function toPlain(error: Error): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return { type: name, message, stack, ...(isError(cause) ? { cause: toPlain(cause) } : {}) };
}

function isError(value: unknown): value is Error {
  return value instanceof Error;
}

/** stderr is open for appending: after the cut it goes on at the start. */
function rotate({ path, maxBytes }: { path: string; maxBytes: number }): void {
  try {
    if (fstatSync(STDERR).size < maxBytes) return;
    copyFileSync(path, `${path}.1`);
    ftruncateSync(STDERR);
  } catch {
    // stderr is no file (a terminal, a pipe): nothing to keep small.
  }
}
