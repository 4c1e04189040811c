import path from 'node:path';
import { BayServiceDefinition, type CreateShipRequest, type Ship } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionEvent, Lifetime } from '../../proto/gen/shipyard/execution/v1/execution.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../../proto/gen/shipyard/execution/v1/file_service.js';
import { createClient } from '../../proto/rpc/client.js';
import type { CallOptions } from '../../proto/rpc/definition.js';
import { inProcess } from '../../proto/rpc/in-process.js';
import { createRouter } from '../../proto/rpc/router.js';
import { createBayService } from '../bay-service.js';
import { createExecutionService } from '../execution-service.js';
import { createFileService } from '../file-service.js';
import { shipDialer } from '../ship-clients/dial-ship.js';
import { openShips } from '../ships/open-ships.js';
import type { ShipsSettings } from '../ships/ships-deps.js';
import { Store } from '../store/store.js';
import { silentLog } from '../telemetry/log.js';
import { Metrics } from '../telemetry/metrics.js';
import { FakeClock } from './fake-clock.js';
import { FakeDriver } from './fake-driver.js';

export interface TestBayOptions {
  readonly settings?: Partial<ShipsSettings>;
  /** Of an earlier Bay, for the next one on the same database and engine. */
  readonly after?: { readonly clock: FakeClock; readonly driver: FakeDriver };
}

export type TestBay = Awaited<ReturnType<typeof startTestBay>>;

/** A Bay with a real store, links over real sockets, a fake driver and a clock that the test moves. It looks only when told. */
export async function startTestBay({ settings = {}, after }: TestBayOptions = {}) {
  const clock = after?.clock ?? new FakeClock();
  const driver = after?.driver ?? new FakeDriver();
  const file = path.join(driver.folder, 'bay.db');
  const importDefaults = { cpus: 1, memoryBytes: 512 * 1024 ** 2, ttlSeconds: 3600, uidBase: 70_000 };
  const store = new Store({ file, log: silentLog, importDefaults, now: clock.now() });
  const metrics = new Metrics();
  const ships = openShips({
    store,
    driver,
    dialer: shipDialer,
    key: Buffer.alloc(32, 7),
    clock,
    log: silentLog,
    metrics,
    settings: {
      maxShips: 10,
      whenFull: 'reject',
      waitMs: 300_000,
      startTimeoutMs: 60_000,
      defaultTtlSeconds: 3600,
      defaultSpec: { cpus: 1, memoryBytes: 512 * 1024 ** 2 },
      ...settings,
    },
  });
  const server = { version: '0.0.0', network: 'none', protocolGeneration: 1 };
  const transport = inProcess(
    createRouter({
      services: [
        [BayServiceDefinition, createBayService({ ...ships.deps, server })],
        [ExecutionServiceDefinition, createExecutionService(ships.deps)],
        [FileServiceDefinition, createFileService(ships.deps)],
      ],
    }),
  );
  const bay = createClient(BayServiceDefinition, transport);
  const executions = createClient(ExecutionServiceDefinition, transport);

  const createShip = (
    sessionId: string,
    request: Partial<CreateShipRequest> = {},
    options?: CallOptions,
  ): Promise<Ship> =>
    bay.createShip({ sessionId, ttlSeconds: 60, maxSessionNum: 1, spec: undefined, ...request }, options);
  return {
    bay,
    executions,
    files: createClient(FileServiceDefinition, transport),
    clock,
    driver,
    metrics,
    store,
    ...ships,
    createShip,
    getShip: (shipId: string) => bay.getShip({ shipId }),
    /** Runs a cell of the fake agent to its end. */
    run: async (ship: Ship, sessionId: string, code = 'print 1', executionId = '', options?: CallOptions) => {
      const request = toStart(ship.shipId, sessionId, code, executionId);
      return collect(executions.startExecution(request, options));
    },
    /** Ends as by SIGKILL, as far as that can be had in one process: nothing is finished, nothing is told. */
    crash: async () => {
      ships.close();
      await store.close();
    },
    end: async () => {
      ships.close();
      await store.close();
      await driver.close();
    },
  };
}

export function toStart(shipId: string, sessionId: string, code: string, executionId = '') {
  return {
    shipId,
    sessionId,
    executionId,
    lifetime: Lifetime.UNSPECIFIED,
    timeoutMs: 0,
    queueTimeoutMs: 0,
    work: { $case: 'cell' as const, value: { code, silent: false, allowStdin: false, kernelGeneration: 0 } },
  };
}

export async function collect(events: AsyncIterable<Uint8Array>): Promise<ExecutionEvent[]> {
  const all: ExecutionEvent[] = [];
  for await (const event of events) all.push(ExecutionEvent.decode(event));
  return all;
}

/** Waits for something that another part of the program does by itself. Bounded, and only a failure reaches the bound. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`did not come about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
