import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { hasCode, isMissing } from '../system-error.js';

/** Debian keeps nft and ip in sbin, which is not on every user's PATH. */
const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
export const TOOL_PATH = FOLDERS.join(':');

/** The absolute path of a system program, looked for where packages put them. */
export function findTool(name: string): string | undefined {
  return FOLDERS.map((folder) => path.join(folder, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false; // the answer, not a failure
  }
}

/** Bay's user. Not by os.userInfo(), which fails for a uid without a name, as containers have them. */
export const ownUid = () => process.geteuid?.() ?? -1;

export interface ToolResult {
  readonly ok: boolean;
  readonly stdout: string;
  /** What it wrote to stderr, or why it did not run; one line. */
  readonly problem: string;
}

/** Runs a program to its end with an empty input and bounded output, killed at the deadline. Never rejects. */
export function runTool(
  argv: readonly string[],
  options: { timeoutMs: number; signal?: AbortSignal },
): Promise<ToolResult> {
  const [command = '', ...args] = argv;
  return new Promise((resolve) => {
    const child = execFile(
      command,
      args,
      {
        timeout: options.timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024,
        signal: options.signal,
        env: { PATH: TOOL_PATH, LANG: 'C.UTF-8' },
        cwd: '/',
      },
      (error, stdout, stderr) => {
        const said = stderr.trim().split('\n').slice(-3).join('; ');
        const why = error?.killed ? `no answer within ${options.timeoutMs} ms` : (error?.message ?? '');
        resolve({ ok: error === null, stdout, problem: said || why });
      },
    );
    child.stdin?.on('error', () => undefined).end(); // it may be gone before it reads
  });
}

/** A kernel setting below /proc/sys, or undefined where this kernel does not have it. */
export function readSysctl(name: string): string | undefined {
  return readFileIfThere(`/proc/sys/${name.replaceAll('.', '/')}`)?.trim();
}

/** A file's text, or undefined where it is missing or may not be read. */
export function readFileIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error) || hasCode(error, 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}
