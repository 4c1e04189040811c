import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExecutionEvent } from '../../../../proto/gen/shipyard/execution/v1/execution.js';
import type { Log } from '../../part-deps.js';
import { systemClock, type Clock } from '../clock.js';
import { realDisk, type Disk } from '../disk.js';
import { ExecutionLog, type LogEnd } from '../execution-log.js';
import { LogStore } from '../log-store.js';

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A store of logs in a folder of its own, without registry or index. */
export class LogBench {
  readonly directory: string;
  readonly store: LogStore;
  readonly reservations: number[] = [];
  readonly ends = new Map<number, LogEnd>();

  constructor(
    readonly options: {
      directory?: string;
      disk?: Disk;
      clock?: Clock;
      executionMaxBytes?: number;
      shipMaxBytes?: number;
    } = {},
  ) {
    this.directory = options.directory ?? mkdtempSync(join(tmpdir(), 'shipyard-log-'));
    this.store = new LogStore(this.directory, options.disk ?? realDisk, options.clock ?? systemClock, silentLog, {
      executionMaxBytes: options.executionMaxBytes ?? 1024 ** 3,
      shipMaxBytes: options.shipMaxBytes ?? 4 * 1024 ** 3,
    });
    this.store.open();
  }

  log(key: number, firstSequence = 1): ExecutionLog {
    return new ExecutionLog(
      key,
      {
        store: this.store,
        clock: this.options.clock ?? systemClock,
        reserve: (through) => this.reservations.push(through),
        recordEnd: (end) => this.ends.set(key, end),
      },
      firstSequence,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    if (!this.options.directory) rmSync(this.directory, { recursive: true, force: true });
  }
}

export async function collect(events: AsyncIterable<Buffer>): Promise<ExecutionEvent[]> {
  const all: ExecutionEvent[] = [];
  for await (const event of events) all.push(ExecutionEvent.decode(event));
  return all;
}

/** What one stream carried. */
export function bytesOf(events: readonly ExecutionEvent[], stream: 'stdout' | 'stderr' | 'pty'): Buffer {
  return Buffer.concat(
    events.map(({ event }) => {
      if (event?.$case !== stream || !event.value.content) return Buffer.alloc(0);
      return event.value.content.$case === 'text' ? Buffer.from(event.value.content.value) : event.value.content.value;
    }),
  );
}
