import { pino, type Logger } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { GatheredLines } from './gathered-lines.js';

/** Facts as fields, then a text that never changes. Never a secret, a token, or a user's code. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** The same log, with these fields in every line. */
  child(fields: object): Log;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** Lines for people instead of JSON; a terminal's default. */
  readonly pretty?: boolean;
  /** Default: standard output. */
  readonly destination?: NodeJS.WritableStream;
}

export interface Logs {
  readonly log: Logger;
  /** For lines by the thousand, of known fields none of which is a secret: written within 20 ms, in the order of all. */
  readonly calls: Pick<Log, 'info'>;
  /** Writes what waits of `calls`; also whoever ends the process, last. */
  readonly flush: () => void;
}

/** JSON lines, instants in UTC. Keys that name a secret are blotted out of `log`, should one ever get there. */
export function createLogs(options: LogOptions): Logs {
  const lines = new GatheredLines(options.destination ?? process.stdout);
  const format = options.pretty ? prettyFactory(PRETTY) : (line: string) => line;
  const settings = {
    level: options.level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const redact = { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: '[secret]' };
  return {
    log: pino({ ...settings, redact }, { write: (line) => lines.write(format(line)) }),
    // Looking for secrets takes longer than all else about a line.
    calls: pino(settings, { write: (line) => lines.gather(format(line)) }),
    flush: () => lines.flush(),
  };
}

/** Where every line is written at once, so that the last lines of a program that exits are there. */
export function createLog(options: LogOptions): Logger {
  return createLogs(options).log;
}

const PRETTY = { colorize: true, ignore: 'pid,hostname', translateTime: 'UTC:HH:MM:ss.l' };
const SECRET_KEYS = ['token', 'accessToken', 'authorization', 'password', 'key'];

/** A log that nobody reads. */
export const silentLog: Log = createLog({ level: 'silent' });
