import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentConfigSchema, type AgentConfig } from '../../config.js';
import type { Log } from '../../part-deps.js';
import type { SessionDirectory, SessionProcess, SessionRunner, SpawnSpec } from '../session-runner.js';
import { startSessionRunner } from '../start-session-runner.js';

export type SandboxKind = AgentConfig['sandbox']['kind'];

/** Of this process alone: where a session is nothing but a user, its end is the end of all that the user has. */
export const TEST_UID = 24_000 + (process.pid % 10_000);

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * The sandboxes that can be had here; says why one cannot. 'none' runs commands as the tests' own user: be gentle.
 * SHIPYARD_TEST_SANDBOX names the only one to take.
 */
export function availableSandboxes(): readonly SandboxKind[] {
  const only = process.env['SHIPYARD_TEST_SANDBOX'] as SandboxKind | undefined;
  if (only) return [only];
  const kind = process.getuid?.() === 0 ? 'bwrap-uid' : 'bwrap-userns';
  const probe = ['--ro-bind', '/', '/', '--unshare-pid', '--proc', '/proc', '--dev', '/dev', 'true'];
  const result = spawnSync('bwrap', kind === 'bwrap-userns' ? ['--unshare-user', ...probe] : probe, {
    encoding: 'utf8',
  });
  if (result.status === 0) return ['none', kind];
  console.warn(`skipped: ${kind} does not work here: ${result.error?.message ?? result.stderr}`);
  return ['none'];
}

export interface TestRunner {
  readonly runner: SessionRunner;
  readonly config: AgentConfig;
  /** As the agent sees it. */
  readonly home: string;
  readonly sessions: SessionDirectory;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A real runner in a temporary folder of its own. */
export async function startTestRunner(
  kind: SandboxKind,
  options: { environment?: Record<string, string>; python?: AgentConfig['python']; tmpBytes?: number } = {},
): Promise<TestRunner> {
  const config = testConfig(kind, options.environment);
  if (options.python) config.python = options.python;
  if (options.tmpBytes) config.tmpBytes = options.tmpBytes;
  const remove = (): void => removeBase(config);
  try {
    const binding = { sessionId: 'session-1', uid: TEST_UID, homeName: 'home-1' };
    const runner = await startSessionRunner(config, binding, { number: 1, log: silentLog });
    return {
      runner,
      config,
      home: join(config.homesDir, binding.homeName),
      sessions: { runner: () => Promise.resolve(runner) },
      [Symbol.asyncDispose]: async () => {
        await runner.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** A session's home is not for the agent's user to remove where capabilities are short: it goes with TMPDIR then. */
export function removeBase({ runDir, sandbox }: Pick<AgentConfig, 'runDir' | 'sandbox'>): void {
  if (sandbox.kind !== 'uid') rmSync(join(runDir, '..'), { recursive: true, force: true, maxRetries: 3 });
}

export function testConfig(kind: SandboxKind, environment: Record<string, string> = {}): AgentConfig {
  const base = mkdtempSync(join(tmpdir(), 'shipyard-runner-'));
  chmodSync(base, 0o711);
  for (const name of ['home', 'run']) mkdirSync(join(base, name), { recursive: true, mode: 0o711 });
  return agentConfigSchema.parse({
    shipId: 'ship-1',
    incarnation: 1,
    token: 'x'.repeat(64),
    listen: { kind: 'unix', path: join(base, 'run', 'agent.sock') },
    stateDir: join(base, 'state'),
    homesDir: join(base, 'home'),
    runDir: join(base, 'run'),
    supportDir: join(import.meta.dirname, '..', '..', '..', 'python'),
    python: { executable: '/usr/bin/python3', prefixes: ['/usr'] },
    sandbox: kind === 'bwrap-uid' || kind === 'bwrap-userns' ? { kind, bwrap: '/usr/bin/bwrap' } : { kind },
    environment: { TZ: 'UTC', ...environment },
  });
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: Awaited<SessionProcess['exited']>;
}

/** Runs a bash command line to its end and that of its pipes. */
export async function runBash(
  runner: SessionRunner,
  command: string,
  spec: Partial<SpawnSpec> = {},
): Promise<Finished> {
  const process = await runner.spawn({ argv: ['bash', '-c', command], name: 'test', ...spec });
  const [stdout, stderr] = await Promise.all([text(process.stdout), text(process.stderr)]);
  return { stdout, stderr, exit: await process.exited };
}

async function text(source: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
