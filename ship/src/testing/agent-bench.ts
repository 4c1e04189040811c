import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExecutionServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { Kernel } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import { ShipServiceDefinition } from '../../../proto/gen/shipyard/ship/v1/ship.js';
import { createClient } from '../../../proto/rpc/client.js';
import type { Client } from '../../../proto/rpc/definition.js';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { dialMux, type MuxLink } from '../../../proto/rpc/mux/mux-grpc.js';
import { startAgent, type Agent, type AgentParts } from '../agent.js';
import type { AgentConfig } from '../config.js';
import { systemClock, type Clock } from '../executions/clock.js';
import type { KernelService } from '../executions/execution.js';
import { silentLog } from '../executions/testing/log-bench.js';
import { ScriptedKind } from '../executions/testing/scripted-kind.js';
import type { SessionBinding, SessionRunner } from '../workspace/session-runner.js';

export const TOKEN = 'b'.repeat(64);

/** An agent on a real socket, whose work, kernels and sandboxes do what the test says. */
export class AgentBench {
  readonly directory = mkdtempSync(join(tmpdir(), 'shipyard-agent-'));
  readonly socketPath = join(this.directory, 'agent.sock');
  readonly cells = new ScriptedKind();
  readonly commands = new ScriptedKind();
  readonly kernels = new ScriptedKernels();
  readonly opened: SessionBinding[] = [];
  readonly closed: string[] = [];
  agent!: Agent;
  readonly #links: MuxLink[] = [];

  static async start(options: { config?: Partial<AgentConfig>; clock?: Clock } = {}): Promise<AgentBench> {
    const bench = new AgentBench();
    bench.agent = await startAgent({ ...bench.config(), ...options.config }, bench.parts(), {
      log: silentLog,
      version: 'test',
      clock: options.clock ?? systemClock,
    });
    return bench;
  }

  config(): AgentConfig {
    return {
      shipId: 'ship-1',
      incarnation: 3,
      token: TOKEN,
      listen: { kind: 'unix', path: this.socketPath, shared: false },
      stateDir: join(this.directory, 'state'),
      homesDir: this.directory,
      runDir: this.directory,
      supportDir: this.directory,
      python: { executable: 'python3', prefixes: [] },
      sandbox: { kind: 'none' },
      readOnlyPaths: [],
      environment: {},
      maxSessionNum: 2,
      executionLogMaxBytes: 1024 ** 3,
      shipLogMaxBytes: 4 * 1024 ** 3,
      ephemeral: false,
      logLevel: 'error',
    };
  }

  parts(): AgentParts {
    return {
      runners: async () => ({
        open: async (binding) => {
          this.opened.push(binding);
          return this.#runner(binding);
        },
      }),
      python: async () => ({ cells: this.cells, kernels: this.kernels }),
      shell: async () => ({ commands: this.commands, terminals: this.commands }),
      files: async () => {
        throw new StatusError('INTERNAL', 'this agent has no files');
      },
    };
  }

  async link(token = TOKEN): Promise<MuxLink> {
    const link = await dialMux(this.agent.server.address, { token, signal: AbortSignal.timeout(5_000) });
    this.#links.push(link);
    return link;
  }

  async clients(link?: MuxLink): Promise<{
    ship: Client<typeof ShipServiceDefinition>;
    executions: Client<typeof ExecutionServiceDefinition>;
    files: Client<typeof FileServiceDefinition>;
  }> {
    const { connection } = link ?? (await this.link());
    return {
      ship: createClient(ShipServiceDefinition, connection),
      executions: createClient(ExecutionServiceDefinition, connection),
      files: createClient(FileServiceDefinition, connection),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { connection } of this.#links) connection.close();
    await this.agent.stop(0);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #runner({ sessionId, homeName }: SessionBinding): SessionRunner {
    const refuse = async (): Promise<never> => {
      throw new Error('this sandbox is empty');
    };
    let leave: () => void;
    const gone = new Promise<void>((resolve) => (leave = resolve));
    return {
      sessionId,
      home: `/home/${homeName}`,
      workspace: `/home/${homeName}/workspace`,
      socketDir: { outside: this.directory, inside: this.directory },
      python: 'python3',
      supportDir: this.directory,
      spawn: refuse,
      openTerminal: refuse,
      fileOperation: refuse,
      openRead: refuse,
      openWrite: refuse,
      close: async () => {
        this.closed.push(sessionId);
        leave();
      },
      gone,
    };
  }
}

export class ScriptedKernels implements KernelService {
  readonly #kernels = new Map<string, Kernel>();
  readonly #listeners = new Set<(kernel: Kernel) => void>();
  /** Sessions whose kernel was started ahead, as long as nothing dropped it. */
  readonly prepared = new Set<string>();
  restarts = 0;

  prepare(sessionId: string): void {
    this.prepared.add(sessionId);
  }

  dropPrepared(sessionId: string): void {
    this.prepared.delete(sessionId);
  }

  async start(sessionId: string): Promise<Kernel> {
    return this.get(sessionId) ?? this.#put(sessionId, 1);
  }

  async restart(sessionId: string): Promise<Kernel> {
    this.restarts++;
    return this.#put(sessionId, (this.get(sessionId)?.generation ?? 0) + 1);
  }

  get(sessionId: string): Kernel | undefined {
    return this.#kernels.get(sessionId);
  }

  async shutdown(sessionId: string): Promise<boolean> {
    return this.#kernels.delete(sessionId);
  }

  list(): readonly Kernel[] {
    return [...this.#kernels.values()];
  }

  async endSession(sessionId: string): Promise<void> {
    this.#kernels.delete(sessionId);
  }

  onChange(listener: (kernel: Kernel) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #put(sessionId: string, generation: number): Kernel {
    const kernel = Kernel.fromPartial({ sessionId, generation, status: 'idle' });
    this.#kernels.set(sessionId, kernel);
    for (const listener of this.#listeners) listener(kernel);
    return kernel;
  }
}
