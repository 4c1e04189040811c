import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { IPty } from 'node-pty';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Log } from '../part-deps.js';
import { MarkerScanner } from './marker-scanner.js';
import type { RunningProcess } from './running-process.js';
import type { SessionTerminal, TerminalSpec } from './session-runner.js';

/** Pauses the pty above this many bytes the log has not taken. 256 KiB hides a 20 ms round trip at 10 MiB/s. */
export const PTY_HIGH_WATER_BYTES = 256 * 1024;
/** From node-pty's start to a program on the terminal: a Python start, on a machine that is busy. */
const OPEN_TIMEOUT_MS = 15_000;
/** One write to the master; the kernel takes at most a few KiB at a time anyhow. */
const MAX_WRITE_BYTES = 64 * 1024;

export interface TerminalDeps {
  readonly spec: TerminalSpec;
  /** As the agent sees them. */
  readonly python: string;
  readonly supportDir: string;
  readonly socketDir: string;
  /** Whose the terminal is to be, where that is not the agent's user. */
  readonly owner: number | undefined;
  readonly log: Log;
  /** Asks the runner for the program, on the terminal that arrives with this token. */
  readonly start: (token: string) => Promise<RunningProcess>;
  readonly forget: (token: string) => void;
}

/**
 * Opens a pseudo-terminal with node-pty and has the session's runner start the program on it. node-pty itself runs only
 * the attach helper, which holds the slave side until the agent has read everything: without it the last kilobytes of a
 * fast program are lost in some runs.
 */
export async function openSessionTerminal(deps: TerminalDeps): Promise<SessionTerminal> {
  const { spec } = deps;
  const nodePty = await import('node-pty');
  const token = randomBytes(16).toString('hex');
  // NUL first: no prompt ends in it, so that nothing a person waits for is ever held back as a possible marker.
  const secret = randomBytes(16).toString('hex');
  const marker = Buffer.from(`\0end ${secret}\0`);
  const helper = [join(deps.supportDir, 'attach_terminal.py'), join(deps.socketDir, 'attach.sock')];
  const pty = nodePty.spawn(
    deps.python,
    ['-I', '-S', '-B', ...helper, ...(deps.owner === undefined ? [] : [String(deps.owner)])],
    {
      name: spec.term,
      cols: spec.columns,
      rows: spec.rows,
      cwd: '/',
      env: { LANG: 'C.UTF-8', SHIPYARD_TERMINAL_TOKEN: token, SHIPYARD_TERMINAL_MARKER: secret },
      encoding: null,
    },
  );
  const terminal = new PtyOutput(pty, marker);
  const timer = setTimeout(() => terminal.hangUp(), OPEN_TIMEOUT_MS);
  const started = deps.start(token);
  try {
    const process = await Promise.race([started, terminal.failed]);
    return new OpenTerminal(pty, terminal, process);
  } catch (error) {
    deps.forget(token);
    terminal.hangUp();
    // It may have started in the same moment: nobody would ever end it.
    started.then(
      (process) => process.kill('SIGKILL', { tree: true }),
      () => undefined,
    );
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

class OpenTerminal implements SessionTerminal {
  readonly pid: number;
  readonly exited: SessionTerminal['exited'];
  readonly output: Readable;

  constructor(
    private readonly pty: IPty,
    private readonly terminal: PtyOutput,
    private readonly process: RunningProcess,
  ) {
    this.pid = process.pid;
    this.exited = process.exited;
    this.output = terminal.output;
  }

  /** Straight to the master, whose descriptor node-pty made non-blocking: its own write is a queue without a bound. */
  write(data: Uint8Array): number {
    if (this.terminal.isClosed) return data.length; // as a program that reads no more: taken and dropped
    try {
      return writeSync(masterOf(this.pty), data, 0, Math.min(data.length, MAX_WRITE_BYTES));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EAGAIN') return 0;
      if (code === 'EIO') return data.length; // hung up
      throw error;
    }
  }

  resize(columns: number, rows: number): void {
    if (!this.terminal.isClosed) this.pty.resize(columns, rows);
  }

  kill(signal: NodeJS.Signals, options?: { tree?: boolean; foreground?: boolean }): void {
    this.process.kill(signal, options);
  }
}

/** What the terminal shows, up to the marker; then the terminal is closed. */
class PtyOutput {
  readonly output: Readable;
  /** Rejects when the helper left without the runner's word; with it the runner's own answer is on its way. */
  readonly failed: Promise<never>;
  isClosed = false;
  private isMarked = false;
  private finished = false;
  private readonly scanner: MarkerScanner;

  constructor(
    private readonly pty: IPty,
    marker: Buffer,
  ) {
    this.scanner = new MarkerScanner(marker);
    this.output = new Readable({
      highWaterMark: PTY_HIGH_WATER_BYTES,
      read: () => {
        if (!this.isClosed) pty.resume();
      },
      destroy: (error, callback) => {
        this.hangUp();
        callback(error);
      },
    });
    // With encoding null these are Buffers, whatever the type says.
    pty.onData((data: unknown) => this.receive(data as Buffer));
    this.failed = new Promise((_resolve, reject) => {
      pty.onExit(({ exitCode, signal }) => {
        // The helper ends only when the terminal is closed; else it was killed, or could not reach the runner.
        this.isClosed = true;
        this.finish(this.scanner.rest());
        if (this.isMarked) return;
        reject(
          new StatusError('INTERNAL', `the terminal's helper ended early (code ${exitCode}, signal ${signal ?? 0})`),
        );
      });
    });
    this.failed.catch(() => undefined); // looked at only while the terminal opens
  }

  /** Closes the master: what still runs on the terminal is hung up, and the helper leaves. */
  hangUp(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closePty(this.pty);
    this.finish(this.scanner.rest());
  }

  private receive(data: Buffer): void {
    if (this.isClosed) return;
    const { output, found } = this.scanner.scan(data);
    if (found) {
      this.isMarked = true;
      this.isClosed = true;
      closePty(this.pty);
      this.finish(output);
    } else if (output.length > 0 && !this.output.push(output)) {
      this.pty.pause();
    }
  }

  private finish(last: Buffer): void {
    if (this.finished || this.output.destroyed) return;
    this.finished = true;
    if (last.length > 0) this.output.push(last);
    this.output.push(null);
  }
}

function masterOf(pty: IPty): number {
  return (pty as IPty & { readonly fd: number }).fd; // node-pty's own accessor, which its types leave out
}

function closePty(pty: IPty): void {
  (pty as IPty & { destroy(): void }).destroy(); // likewise
}
