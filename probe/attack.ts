import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Session } from './bay.js';
import { breached, held, type Finding } from './probe.js';

/** What an attack told of one thing that it tried. */
export interface Attempt {
  readonly attempt: string;
  readonly got?: string | number;
  readonly failed?: string;
}

export interface Attacked {
  readonly attempts: readonly Attempt[];
  /** All that it wrote, for secrets to be looked for. */
  readonly output: string;
}

const folder = path.join(import.meta.dirname, 'attacks');
const read = (name: string) => readFileSync(path.join(folder, `${name}.py`), 'utf8');

/** `python3` and its arguments, for a program of attacks/ with its own; `-`: they come on stdin. */
export function attackCommand(program: string, args: object | '-'): string[] {
  return ['python3', '-c', `${read('kit')}\n${read(program)}`, args === '-' ? args : JSON.stringify(args)];
}

/** Lets a session run an attack, and gives what it told until it ended or was ended. */
export async function attack(
  session: Session,
  program: string,
  args: object,
  { timeoutMs = 60_000 } = {},
): Promise<Attacked> {
  const { stdout, stderr } = await session.run({ command: { argv: attackCommand(program, args) } }, { timeoutMs });
  return toAttacked(stdout, stderr);
}

/**
 * Runs the very same on this machine, without a ship around it: it then shows that the attack is one. Its arguments may be
 * secret.
 */
export async function attackOutside(
  program: string,
  args: object,
  { around = [], timeoutMs = 60_000 }: { around?: readonly string[]; timeoutMs?: number } = {},
): Promise<Attacked> {
  const [file = '', ...rest] = [...around, ...attackCommand(program, '-').with(0, hostPython())];
  const child = spawn(file, rest, { cwd: '/', timeout: timeoutMs });
  child.stdin.on('error', () => undefined); // it ended before it read
  child.stdin.end(JSON.stringify(args));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  await new Promise<void>((resolve) => {
    child.once('error', (error) => {
      stderr += error.message;
      resolve();
    });
    child.once('close', () => resolve());
  });
  return toAttacked(stdout, stderr);
}

/** The system's own where there is one, which any user may run. */
const hostPython = () => (existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3');

function toAttacked(stdout: string, stderr: string): Attacked {
  const attempts = stdout
    .split('\n')
    .filter((line) => line.startsWith('{"attempt"'))
    .map((line) => JSON.parse(line) as Attempt);
  if (attempts.length === 0) throw new Error(`the attack did not run: ${(stderr || stdout).slice(-1000)}`);
  return { attempts, output: stdout };
}

export const successes = ({ attempts }: Attacked): Attempt[] => attempts.filter(({ got }) => got !== undefined);

/** "12 attempts: EPERM 8, EACCES 4". */
export function summary({ attempts }: Attacked): string {
  const counts = new Map<string, number>();
  for (const { failed } of attempts) if (failed) counts.set(failed, (counts.get(failed) ?? 0) + 1);
  const refusals = [...counts].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`);
  return `${attempts.length} attempts${refusals.length === 0 ? '' : `: ${refusals.slice(0, 5).join(', ')}`}`;
}

/**
 * The judgement of an attack that looks for a secret: breached where the secret is in what it wrote.
 *
 * @param control what the attack was free to find; where it did not even find that, it proves nothing
 */
export function judgeBySecret(attacked: Attacked, { secret, control }: { secret: string; control: string }): Finding {
  if (attacked.output.includes(secret)) {
    const where = successes(attacked).find(({ got }) => String(got).includes(secret));
    return breached(where ? `${where.attempt}: ${String(where.got).slice(0, 200)}` : 'the secret came out');
  }
  if (!attacked.output.includes(control)) throw new Error(`the attack missed what it was free to find`);
  return held(summary(attacked));
}
