import { pino, type DestinationStream, type Logger } from 'pino';
import { prettyFactory } from 'pino-pretty';

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

/** JSON lines, instants in UTC. Keys that name a secret are blotted out, should one ever get here. */
export function createLog(options: LogOptions): Logger {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: '[secret]' },
    },
    toDestination(options),
  );
}

const SECRET_KEYS = ['token', 'accessToken', 'authorization', 'password', 'key'];

/** Written at once, so that the last lines of a program that exits are there. */
function toDestination({ destination = process.stdout, ...options }: LogOptions): DestinationStream {
  if (!options.pretty) return destination;
  const format = prettyFactory({ colorize: true, ignore: 'pid,hostname', translateTime: 'UTC:HH:MM:ss.l' });
  return { write: (line) => void destination.write(format(line)) };
}

/** A log that nobody reads. */
export const silentLog: Log = createLog({ level: 'silent' });
