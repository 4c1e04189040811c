import { join } from 'node:path';
import { isStatusError, StatusError } from '../../../proto/rpc/status-error.js';
import { timeoutSignal } from '../../../proto/rpc/timeout-signal.js';
import type { AgentConfig } from '../config.js';
import type { Log } from '../part-deps.js';
import { OomWatch } from './oom-watch.js';
import { RunnerFileWriter } from './runner-file-writer.js';
import { RunningProcess, toExit } from './running-process.js';
import { LargePipeReader, openPipeReader, openPipeWriter, type PipeHandle } from './pipes.js';
import { RunnerLink, type RunnerAnswer, type RunnerEvent } from './runner-link.js';
import { ownFilter, sandboxCommand, sessionEnvironment } from './sandbox-command.js';
import { prepareSessionLayout, removeSessionLayout, sessionOwner, type SessionLayout } from './session-layout.js';
import { openSessionTerminal } from './session-terminal.js';
import type {
  FileStat,
  FileWriter,
  ProcessExit,
  SessionBinding,
  SessionProcess,
  SessionRunner,
  SessionTerminal,
  SpawnSpec,
  TerminalSpec,
} from './session-runner.js';

/** Chunks of files on their way out. 256 KiB is where grpc-js and the mux are fastest. */
const READ_CHUNK_BYTES = 256 * 1024;
/** Bytes of standard input that Node holds while the pipe is full. */
const STDIN_BUFFER_BYTES = 64 * 1024;
/** From the start of the sandbox to a runner that takes work; on a machine that is busy and cold. */
const START_TIMEOUT_MS = 20_000;

export interface StartOptions {
  /** Tells the sessions of this agent apart. */
  readonly number: number;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/**
 * Prepares the session's directories, starts its sandbox with the runner inside, and answers when the runner takes work.
 *
 * @throws StatusError SHIP_START_FAILED with the last words of bubblewrap or the runner
 */
export async function startSessionRunner(
  config: AgentConfig,
  binding: SessionBinding,
  options: StartOptions,
): Promise<SessionRunner> {
  const layout = await prepareSessionLayout(config, binding, options.number);
  const command = sandboxCommand(config, binding, layout);
  const runner = new Runner(config, binding, layout, options.log, (onEvent) => {
    const onStderr = (text: string): void =>
      options.log.warn({ sessionUid: binding.uid, text: text.slice(0, 2000) }, 'session runner');
    return new RunnerLink(command, { scratchDir: layout.scratchDir, onEvent, onStderr });
  });
  await runner.start(options.signal);
  return runner;
}

class Runner implements SessionRunner {
  readonly sessionId: string;
  readonly home: string;
  readonly workspace: string;
  readonly socketDir: SessionRunner['socketDir'];
  readonly python: string;
  readonly supportDir: string;
  readonly gone: Promise<void>;
  private readonly link: RunnerLink;
  private readonly oom: OomWatch;
  private readonly exits = new Map<string, (exit: ProcessExit) => void>();
  private readonly streams = new Map<number, (end: StreamEnd) => void>();
  private next = 1;
  private isGone = false;

  constructor(
    private readonly config: AgentConfig,
    private readonly binding: SessionBinding,
    private readonly layout: SessionLayout,
    private readonly log: Log,
    open: (onEvent: (event: RunnerEvent) => void) => RunnerLink,
  ) {
    this.sessionId = binding.sessionId;
    this.home = layout.home.inside;
    this.workspace = layout.workspace;
    this.socketDir = layout.socketDir;
    this.supportDir = layout.supportDir.inside;
    this.python = join(layout.home.inside, '.venv', 'bin', 'python3');
    this.oom = new OomWatch(config.cgroup);
    this.link = open((event) => this.hear(event));
    this.gone = this.link.gone.then(async () => {
      this.isGone = true;
      for (const end of this.exits.values()) end({ kind: 'lost' });
      for (const end of this.streams.values())
        end({ error: new StatusError('FILE_OPERATION_FAILED', 'the sandbox of the session went away') });
      await removeSessionLayout(layout).catch((error: unknown) =>
        log.warn({ error: String(error) }, 'session directory was not removed'),
      );
    });
  }

  async start(signal: AbortSignal | undefined): Promise<void> {
    const deadline = timeoutSignal(START_TIMEOUT_MS, signal);
    const stop = (): void => this.link.kill();
    deadline.addEventListener('abort', stop, { once: true });
    try {
      deadline.throwIfAborted();
      await this.link.request('start', {
        home: this.home,
        workspace: this.workspace,
        socketDir: this.socketDir.inside,
        supportDir: this.supportDir,
        python: this.config.python.executable,
        environment: sessionEnvironment(this.config, this.binding, this.layout),
        ...ownFilter(this.config),
      });
    } catch (error) {
      await this.close();
      const why = signal?.aborted
        ? 'it was cancelled'
        : deadline.aborted
          ? 'it took too long'
          : this.link.lastWords || (isStatusError(error) ? error.message : String(error));
      const reason = isStatusError(error) && error.reason === 'DISK_FULL' ? 'DISK_FULL' : 'SHIP_START_FAILED';
      throw new StatusError(reason, `the session's sandbox could not start: ${why}`, { cause: error });
    } finally {
      deadline.removeEventListener('abort', stop);
    }
  }

  async spawn(spec: SpawnSpec): Promise<SessionProcess> {
    const name = this.name(spec);
    const exited = this.exit(name);
    const answer = await this.startProcess('spawn', name, spec, {});
    const [stdout, stderr] = [pipe(answer, 'stdout'), pipe(answer, 'stderr')];
    const process = new RunningProcess(this.link, answer, exited, this.oom);
    return {
      pid: process.pid,
      stdout: openPipeReader(stdout),
      stderr: openPipeReader(stderr),
      ...(spec.stdin ? { stdin: openPipeWriter(pipe(answer, 'stdin'), STDIN_BUFFER_BYTES) } : {}),
      exited: process.exited,
      kill: (signal, options) => process.kill(signal, options),
      workBegins: () => process.workBegins(),
    };
  }

  async openTerminal(spec: TerminalSpec): Promise<SessionTerminal> {
    return openSessionTerminal({
      spec,
      python: this.config.python.executable,
      supportDir: this.layout.supportDir.outside,
      socketDir: this.layout.socketDir.outside,
      owner: sessionOwner(this.config, this.binding),
      log: this.log,
      start: async (token) => {
        const name = this.name(spec);
        const exited = this.exit(name);
        const env = { ...spec.env, TERM: spec.term };
        const answer = await this.startProcess('terminal', name, { ...spec, env }, { token });
        return new RunningProcess(this.link, answer, exited, this.oom);
      },
      forget: (token) => this.link.tell('forgetTerminal', { token }),
    });
  }

  async fileOperation<T>(operation: string, args: Readonly<Record<string, unknown>>): Promise<T> {
    const { result } = await this.link.request('file', { operation, args });
    return result as T;
  }

  async openRead(
    path: string,
    range: { offset?: number; length?: number } = {},
  ): Promise<{ info: FileStat; data: LargePipeReader }> {
    const stream = this.next++;
    const ended = this.streamEnd(stream);
    try {
      const answer = await this.link.request('openRead', { stream, path, ...range });
      const info = toFileStat(answer.result);
      const chunkBytes = Math.min(READ_CHUNK_BYTES, Math.max(4096, info.sizeBytes));
      const data = new LargePipeReader(pipe(answer, 'data'), {
        chunkBytes,
        verify: async (bytes) => {
          const end = await ended;
          if (end.error) throw end.error;
          if (end.bytes !== bytes) throw new StatusError('INTERNAL', `${bytes} of ${end.bytes} bytes arrived`);
        },
      });
      return { info, data };
    } catch (error) {
      this.streams.delete(stream);
      throw error;
    }
  }

  async openWrite(path: string, options: { mode?: number; sizeBytes?: number } = {}): Promise<FileWriter> {
    const stream = this.next++;
    const answer = await this.link.request('openWrite', { stream, path, ...options });
    return new RunnerFileWriter(this.link, stream, pipe(answer, 'data'));
  }

  async close(): Promise<void> {
    await this.link.close();
    await this.gone;
  }

  private name(spec: SpawnSpec): string {
    return `${this.next++} ${spec.name}`;
  }

  private startProcess(
    op: string,
    name: string,
    spec: SpawnSpec,
    more: Readonly<Record<string, unknown>>,
  ): Promise<RunnerAnswer> {
    const { argv, cwd, env, stdin } = spec;
    return this.link.request(op, { name, argv, cwd, env, stdin, ...more }).catch((error: unknown) => {
      this.exits.delete(name);
      throw error;
    });
  }

  /** Known before the process starts, since its exit may be told in the same breath as its start. */
  private exit(name: string): Promise<ProcessExit> {
    return new Promise((resolve) => {
      this.exits.set(name, resolve);
      if (this.isGone) resolve({ kind: 'lost' });
    });
  }

  private streamEnd(stream: number): Promise<StreamEnd> {
    return new Promise((resolve) => this.streams.set(stream, resolve));
  }

  private hear(event: RunnerEvent): void {
    if (event.event === 'exit') {
      const name = String(event['name']);
      this.exits.get(name)?.(toExit(event));
      this.exits.delete(name);
    } else if (event.event === 'stream') {
      const stream = Number(event['stream']);
      this.streams.get(stream)?.(toStreamEnd(event));
      this.streams.delete(stream);
    }
  }
}

type StreamEnd = { readonly bytes: number; readonly error?: undefined } | { readonly error: StatusError };

function toStreamEnd(event: RunnerEvent): StreamEnd {
  const error = event['error'] as { reason?: string; message?: string } | undefined;
  if (error === undefined) return { bytes: Number(event['bytes']) };
  return { error: new StatusError('FILE_OPERATION_FAILED', String(error.message)) };
}

function pipe(answer: RunnerAnswer, name: string): PipeHandle {
  const handle = answer.pipes.get(name);
  if (handle === undefined) throw new StatusError('INTERNAL', `the runner gave no ${name}`);
  return handle;
}

/** A FileStat as the runner writes it. */
export function toFileStat(value: Readonly<Record<string, unknown>>): FileStat {
  return {
    name: String(value['name']),
    path: String(value['path']),
    isFile: value['isFile'] === true,
    isDirectory: value['isDirectory'] === true,
    sizeBytes: Number(value['sizeBytes']),
    modifyTimeMs: Number(value['modifyTimeMs']),
    mode: Number(value['mode']),
    linkTarget: String(value['linkTarget']),
  };
}
