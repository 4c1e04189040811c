import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, watch } from 'node:fs';
import path from 'node:path';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { hasCode, toError } from '../system-error.js';
import { TOOL_PATH } from './host-tools.js';
import { readProcess, type ProcessRef } from './processes.js';
import { readStatus } from './ship-record.js';
import { SUPERVISOR_SCRIPT } from './supervisor.js';

export interface LaunchOptions {
  readonly runDir: string;
  /** The outer sandbox and what runs in it. */
  readonly command: readonly string[];
  readonly plain: boolean;
  readonly ephemeral: boolean;
  /** Takes stdout and stderr: a file and never a pipe to Bay, whose end would be the ship's. */
  readonly logFile: string;
  readonly groups: readonly string[];
  readonly supervisorGroups: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Launched {
  readonly supervisor: ProcessRef | undefined;
  /** The fifo whose writer is the ship's init. */
  readonly alive: string;
  /** Pid of the ship's init as soon as it is there. */
  initPid(signal: AbortSignal): Promise<number>;
  /** Resolves when a file of the runtime directory is there. */
  fileAppears(file: string, signal: AbortSignal): Promise<void>;
  /** Resolves when the supervisor ended; keeps the process waiting for that. */
  ended(): Promise<void>;
  /** Ends the supervisor's whole process group, for what did not get as far as an init. */
  kill(): void;
  /** Stops watching; the ship lives on. */
  close(): void;
}

/**
 * Starts a ship's supervisor in a session of its own, with nothing that leads back to Bay. Waits are woken by the
 * directory's own changes and by the supervisor's end.
 */
export function launch(options: LaunchOptions): Launched {
  const { runDir } = options;
  const looks = new Set<() => void>();
  const lookAgain = () => looks.forEach((look) => look());
  const watcher = watch(runDir, { persistent: false }, lookAgain);
  watcher.on('error', lookAgain);

  const log = openSync(options.logFile, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
  const child = spawn(
    '/bin/sh',
    [
      ...['-c', SUPERVISOR_SCRIPT, 'shipyard-supervisor', runDir, options.ephemeral ? 'ephemeral' : 'kept'],
      ...[
        options.plain ? 'plain' : 'bwrap',
        options.groups.join('\n'),
        ...options.supervisorGroups,
        '--',
        ...options.command,
      ],
    ],
    {
      detached: true,
      cwd: '/',
      stdio: ['ignore', log, log],
      env: { PATH: TOOL_PATH, HOME: '/', LANG: 'C.UTF-8', ...options.environment },
    },
  );
  closeSync(log);
  child.unref();
  let end: string | undefined;
  const ended = new Promise<void>((resolve) => {
    const over = (how: string) => {
      end = how;
      lookAgain();
      resolve();
    };
    child.once('error', (error) => over(error.message));
    child.once('exit', (code, signal) => over(`ended with ${signal ?? code}`));
  });

  /** Looks at once, at every change of the directory, and now and then in case one went unnoticed. */
  const until = <T>(look: () => T | undefined, signal: AbortSignal) =>
    new Promise<T>((resolve, reject) => {
      const settle = (act: () => void) => {
        looks.delete(attempt);
        clearInterval(timer);
        signal.removeEventListener('abort', abort);
        act();
      };
      const abort = () => settle(() => reject(toError(signal.reason)));
      const attempt = () => {
        let found: T | undefined;
        try {
          found = look();
        } catch (error) {
          return settle(() => reject(toError(error)));
        }
        if (found !== undefined) settle(() => resolve(found));
        else if (end !== undefined)
          settle(() => reject(new StatusError('SHIP_START_FAILED', `the ship's process ${end}`)));
      };
      const timer = setInterval(attempt, 25);
      looks.add(attempt);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      else attempt();
    });

  return {
    supervisor: child.pid === undefined ? undefined : readProcess(child.pid),
    alive: path.join(runDir, 'alive'),
    initPid: (signal) => until(() => readStatus(runDir).initPid, signal),
    fileAppears: async (file, signal) => void (await until(() => existsSync(file) || undefined, signal)),
    ended: () => {
      child.ref();
      return ended;
    },
    kill: () => {
      if (child.pid !== undefined && end === undefined) killGroup(child.pid);
    },
    close: () => watcher.close(),
  };
}

/** Only while the group's leader is ours and not yet reaped: its number belongs to nobody else then. */
function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}
