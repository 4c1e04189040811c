import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ExecutionEvent,
  StartExecutionRequest,
  type StartExecutionRequest as Request,
} from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import type { Clock } from '../clock.js';
import type { Disk } from '../disk.js';
import type { Entry } from '../entry.js';
import { ExecutionRegistry } from '../execution-registry.js';
import type { FakeClock } from './fake-clock.js';
import { silentLog } from './log-bench.js';
import { ScriptedKind } from './scripted-kind.js';

/** A registry over a real folder, with scripted work and a clock that moves when told; can be restored. */
export class RegistryBench<C extends Clock = FakeClock> {
  readonly directory: string;
  readonly cells = new ScriptedKind();
  readonly commands = new ScriptedKind();
  readonly registry: ExecutionRegistry;

  constructor(
    readonly clock: C,
    private readonly options: { directory?: string; incarnation?: number; disk?: Disk; shipMaxBytes?: number } = {},
  ) {
    this.directory = options.directory ?? mkdtempSync(join(tmpdir(), 'shipyard-registry-'));
    this.registry = new ExecutionRegistry({
      stateDir: this.directory,
      incarnation: options.incarnation ?? 1,
      clock,
      log: silentLog,
      executionMaxBytes: 1024 ** 3,
      shipMaxBytes: options.shipMaxBytes ?? 4 * 1024 ** 3,
      kind: async (kind) => (kind === 'CELL' ? this.cells : this.commands),
      ...(options.disk ? { disk: options.disk } : {}),
    });
    this.registry.open();
    this.registry.openSession('s');
  }

  /** The next incarnation on the same folder. The agent before it is left as it is: as if it were dead. */
  restored(): RegistryBench<C> {
    return new RegistryBench(this.clock, {
      ...this.options,
      directory: this.directory,
      incarnation: (this.options.incarnation ?? 1) + 1,
    });
  }

  async events(entry: Entry, from = 0): Promise<ExecutionEvent[]> {
    const events: ExecutionEvent[] = [];
    for await (const event of this.registry.read(entry, from)) events.push(ExecutionEvent.decode(event));
    return events;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function cell(executionId: string, code = 'x', more: Partial<Request> = {}): Request {
  return StartExecutionRequest.fromPartial({
    sessionId: 's',
    executionId,
    work: { $case: 'cell', value: { code } },
    ...more,
  });
}

export function command(executionId: string, line = 'true', more: Partial<Request> = {}): Request {
  return StartExecutionRequest.fromPartial({
    sessionId: 's',
    executionId,
    work: { $case: 'command', value: { command: line, stdin: true } },
    ...more,
  });
}
