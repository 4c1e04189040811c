import { rm } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Implementation } from '../../proto/rpc/definition.js';
import type { RpcServer } from '../../proto/rpc/grpc-server.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { createCollector } from './collect-garbage.js';
import type { AgentConfig } from './config.js';
import { systemClock, type Clock } from './executions/clock.js';
import type { KernelService, WorkKind } from './executions/execution.js';
import { ExecutionRegistry } from './executions/execution-registry.js';
import { STOP_GRACE_MS } from './executions/execution-task.js';
import { FenceGuard } from './fence-guard.js';
import { prepareKernel, prepareRunner } from './first-session.js';
import { KernelChanges } from './kernel-changes.js';
import { LeaseKeeper } from './lease-keeper.js';
import { once } from './once.js';
import type { Log, PartDeps } from './part-deps.js';
import { createExecutionService } from './service/execution-service.js';
import { createLazyFileService } from './service/file-service.js';
import { createShipService } from './ship-service.js';
import { Sessions } from './sessions.js';
import type { SessionRunnerFactory } from './workspace/session-runner.js';

/** What the agent is made of beyond itself; loaded on first use, because the start is to be quick. */
export interface AgentParts {
  runners(deps: { config: AgentConfig; log: Log }): Promise<SessionRunnerFactory>;
  python(deps: PartDeps): Promise<{ cells: WorkKind; kernels: KernelService }>;
  shell(deps: PartDeps): Promise<{ commands: WorkKind; terminals: WorkKind }>;
  files(deps: PartDeps): Promise<Implementation<typeof FileServiceDefinition>>;
}

export interface Agent {
  readonly server: RpcServer;
  /** Ends all work and the server; resolves when nothing of it is left. Safe to repeat. */
  stop(graceMs?: number): Promise<void>;
  /** Resolves when the agent has ended, by stop(), Shutdown, or for want of anybody who needs it. */
  readonly ended: Promise<void>;
}

/** Time for answers that are on their way, when the server stops. */
const DRAIN_MS = 1_000;

/** One ship's agent: serves when it resolves. */
export async function startAgent(
  config: AgentConfig,
  parts: AgentParts,
  options: { log: Log; version: string; clock?: Clock },
): Promise<Agent> {
  const { log, version, clock = systemClock } = options;
  const sessions = new Sessions(
    once(() => parts.runners({ config, log })),
    config.maxSessionNum,
  );
  const firstRunner = config.firstSession && prepareRunner(sessions, config.firstSession, log);
  if (firstRunner) await setImmediate(); // its process starts beside all that is loaded now
  const kernelChanges = new KernelChanges();
  let kernels: KernelService | undefined;
  const partDeps: PartDeps = {
    config,
    log,
    sessions,
    background: (sessionId) => registry.background(sessionId),
    quietMs: () => registry.quietMs,
  };
  const python = once(async () => {
    const loaded = await parts.python(partDeps);
    kernels = loaded.kernels;
    kernels.onChange((kernel) => kernelChanges.tell(kernel));
    return loaded;
  });
  const shell = once(() => parts.shell(partDeps));

  const registry = new ExecutionRegistry({
    stateDir: config.stateDir,
    incarnation: config.incarnation,
    clock,
    log,
    executionMaxBytes: config.executionLogMaxBytes,
    shipMaxBytes: config.shipLogMaxBytes,
    onPassed: createCollector(),
    admit: ({ sessionId, work }) => {
      if (work?.$case !== 'cell' || work.value.kernelGeneration === 0) return;
      const generation = kernels?.get(sessionId)?.generation ?? 0;
      if (generation !== work.value.kernelGeneration)
        throw new StatusError('KERNEL_STATE_LOST', `kernel ${work.value.kernelGeneration} of the session is gone`, {
          details: { kernel_generation: generation },
        });
    },
    kind: async (kind) => {
      if (kind === 'CELL') return (await python()).cells;
      return kind === 'COMMAND' ? (await shell()).commands : (await shell()).terminals;
    },
  });
  registry.open();

  const ending = new AbortController();
  const stopping = new AbortController();
  const endSession = async (sessionId: string): Promise<void> => {
    const sandbox = sessions.unbind(sessionId);
    await registry.endSession(sessionId);
    await kernels?.endSession(sessionId);
    await sandbox.close();
  };
  const endWork = once(async (graceMs: number) => {
    lease.close();
    sessions.close();
    ending.abort();
    await registry.close(graceMs);
    await Promise.all(sessions.list().map(({ sessionId }) => endSession(sessionId)));
    stopping.abort();
  });

  let resolveEnded: () => void;
  const ended = new Promise<void>((resolve) => (resolveEnded = resolve));
  const stop = once(async (graceMs: number) => {
    await endWork(graceMs);
    await server.stop({ drainMs: DRAIN_MS });
    if (config.listen.kind === 'unix') await rm(config.listen.path, { force: true });
    resolveEnded();
  });
  const stopLater = (graceMs: number): void =>
    void stop(graceMs).catch((error: unknown) => log.error({ err: error }, 'stop failed'));

  const lease = new LeaseKeeper({
    clock,
    ephemeral: config.ephemeral,
    busy: () => registry.unfinished().length > 0,
    end: (why) => {
      log.info({ why }, 'the ship ends itself');
      stopLater(STOP_GRACE_MS);
    },
  });
  const { startShipServer } = await import('./server.js'); // and with it grpc-js, which takes a while to load
  const server = await startShipServer(
    {
      ship: createShipService({
        fence: new FenceGuard(config.incarnation),
        sessions,
        lease,
        watch: {
          clock,
          ending: ending.signal,
          stopping: stopping.signal,
          executions: () => registry.unfinished(),
          kernels: () => kernels?.list() ?? [],
          sessions: () => sessions.list().map(({ sessionId, uid }) => ({ sessionId, uid })),
          onExecution: (listener) => registry.onChange(listener),
          onKernel: (listener) => kernelChanges.on(listener),
        },
        openSession: (sessionId) => registry.openSession(sessionId),
        endSession,
        shutdown: async (graceMs) => {
          await endWork(graceMs);
          stopLater(graceMs); // the answer goes out while the server drains
        },
      }),
      executions: createExecutionService({
        registry,
        sessions,
        kernels: async () => (await python()).kernels,
        kernelsIfLoaded: () => kernels,
      }),
      files: createLazyFileService(
        sessions,
        once(() => parts.files(partDeps)),
      ),
    },
    { config, log, version, onLink: (closed) => lease.addLink(closed) },
  );
  log.info({ incarnation: config.incarnation, version }, 'ready');
  // Not sooner: on few processors it would keep the first command waiting.
  // In a later life its home may hold what runs when Python starts, and nobody asked for that.
  if (config.firstSession && firstRunner && config.incarnation === 1)
    void prepareKernel({ registry, python }, config.firstSession.sessionId, firstRunner);
  return { server, ended, stop: (graceMs = STOP_GRACE_MS) => stop(graceMs) };
}
