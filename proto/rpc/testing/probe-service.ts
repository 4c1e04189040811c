/** A service with a method of every kind, and what a test wants to know of its handlers. */
import { once } from 'node:events';
import { ErrorInfo } from '../../gen/google/rpc/error_details.js';
import { Credit, Data } from '../../gen/shipyard/mux/v1/mux.js';
import type { CallContext, Implementation } from '../definition.js';
import { StatusError } from '../status-error.js';

const unary = { requestStream: false, responseStream: false, options: {} } as const;
const serverStream = { requestStream: false, responseStream: true, options: {} } as const;

export const ProbeDefinition = {
  name: 'ProbeService',
  fullName: 'probe.ProbeService',
  methods: {
    echo: { name: 'Echo', requestType: Data, responseType: Data, ...unary },
    fail: { name: 'Fail', requestType: ErrorInfo, responseType: ErrorInfo, ...unary },
    describe: { name: 'Describe', requestType: ErrorInfo, responseType: ErrorInfo, ...unary },
    hang: { name: 'Hang', requestType: ErrorInfo, responseType: ErrorInfo, ...unary },
    /** Numbers from 1 to the request's; fails after it where that is odd. */
    count: { name: 'Count', requestType: Credit, responseType: Credit, ...serverStream },
    hangStream: { name: 'HangStream', requestType: ErrorInfo, responseType: ErrorInfo, ...serverStream },
    /** Pieces of the request's size, without end. */
    pour: { name: 'Pour', requestType: Credit, responseType: Data, ...serverStream },
    /** Raw by its name. */
    download: { name: 'Download', requestType: Credit, responseType: Data, ...serverStream },
    sum: {
      name: 'Sum',
      requestType: Data,
      requestStream: true,
      responseType: Credit,
      responseStream: false,
      options: {},
    },
    /** Takes one message, then none. */
    stall: {
      name: 'Stall',
      requestType: Data,
      requestStream: true,
      responseType: Credit,
      responseStream: false,
      options: {},
    },
    chat: {
      name: 'Chat',
      requestType: Data,
      requestStream: true,
      responseType: Data,
      responseStream: true,
      options: {},
    },
  },
} as const;

export class Probe implements Implementation<typeof ProbeDefinition> {
  /** Contexts of all calls, in order. */
  readonly contexts: CallContext[] = [];
  /** Bytes that pour has handed over. */
  poured = 0;
  /** Iterators of handlers that were closed, by method. */
  readonly left: string[] = [];

  async echo(request: Data, ctx: CallContext): Promise<Data> {
    this.contexts.push(ctx);
    return request;
  }

  async fail(request: ErrorInfo, ctx: CallContext): Promise<ErrorInfo> {
    this.contexts.push(ctx);
    if (request.reason === 'PLAIN') throw new Error('an inside that nobody is to see');
    throw new StatusError('LOG_TRUNCATED', `number 3 is gone: ${request.domain}`, {
      details: { oldest_sequence: 17, path: 'a/b', text: '42', end: { outcome: 'exited', code: 0 }, strict: true },
    });
  }

  async describe(_request: ErrorInfo, ctx: CallContext): Promise<ErrorInfo> {
    this.contexts.push(ctx);
    return { reason: ctx.method, domain: ctx.peer, metadata: { ...ctx.metadata } };
  }

  async hang(_request: ErrorInfo, ctx: CallContext): Promise<ErrorInfo> {
    this.contexts.push(ctx);
    await aborted(ctx.signal);
    throw ctx.signal.reason;
  }

  async *count({ bytes }: Credit, ctx: CallContext): AsyncGenerator<Credit> {
    this.contexts.push(ctx);
    for (let number = 1; number <= bytes; number++) yield { bytes: number };
    if (bytes % 2 === 1) throw new StatusError('EXECUTION_NOT_FOUND', 'odd');
  }

  async *hangStream(_request: ErrorInfo, ctx: CallContext): AsyncGenerator<ErrorInfo> {
    this.contexts.push(ctx);
    yield { reason: 'first', domain: '', metadata: {} };
    await aborted(ctx.signal);
    throw ctx.signal.reason;
  }

  async *pour({ bytes }: Credit, ctx: CallContext): AsyncGenerator<Data> {
    this.contexts.push(ctx);
    const piece = { bytes: Buffer.alloc(bytes, 'x'), more: false };
    try {
      for (;;) {
        this.poured += bytes;
        yield piece;
      }
    } finally {
      this.left.push('pour');
    }
  }

  async *download({ bytes }: Credit, ctx: CallContext): AsyncGenerator<Uint8Array> {
    this.contexts.push(ctx);
    for (let number = 1; number <= bytes; number++)
      yield Data.encode({ bytes: Buffer.from(`${number}`), more: true }).finish();
  }

  async sum(requests: AsyncIterable<Data>, ctx: CallContext): Promise<Credit> {
    this.contexts.push(ctx);
    let bytes = 0;
    for await (const request of requests) bytes += request.bytes.length;
    return { bytes };
  }

  async stall(requests: AsyncIterable<Data>, ctx: CallContext): Promise<Credit> {
    this.contexts.push(ctx);
    await requests[Symbol.asyncIterator]().next();
    await aborted(ctx.signal);
    throw ctx.signal.reason;
  }

  async *chat(requests: AsyncIterable<Data>, ctx: CallContext): AsyncGenerator<Data> {
    this.contexts.push(ctx);
    try {
      for await (const request of requests) yield request;
    } finally {
      this.left.push('chat');
    }
  }
}

export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

export const data = (text: string): Data => ({ bytes: Buffer.from(text), more: false });
export const NOTHING: ErrorInfo = { reason: '', domain: '', metadata: {} };

/** Waits for what another task is about to bring about; fails after 10 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Waits until a number has stopped to grow. */
export async function settled(read: () => number): Promise<number> {
  for (let last = read(), quiet = 0; ;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = read();
    quiet = now === last ? quiet + 1 : 0;
    last = now;
    if (quiet >= 20) return last;
  }
}
