/** The same scenarios over every transport: what a caller and a handler see is the same everywhere. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Data } from '../gen/shipyard/mux/v1/mux.js';
import { createClient, type Transport } from './client.js';
import type { Client } from './definition.js';
import { openGrpcChannel } from './grpc-client.js';
import { startRpcServer, type MuxServerOptions } from './grpc-server.js';
import { inProcess } from './in-process.js';
import { dialSocket } from './mux/dial-socket.js';
import { MuxConnection } from './mux/mux-connection.js';
import { dialMux, type MuxLink } from './mux/mux-grpc.js';
import { createRouter, type Router } from './router.js';
import { StatusError } from './status-error.js';
import { memoryLinks } from './testing/memory-link.js';
import { data, NOTHING, Probe, ProbeDefinition, settled, until } from './testing/probe-service.js';

interface Way {
  readonly transport: Transport;
  close(): Promise<void>;
}

async function grpcOverTcp(router: Router, mux?: MuxServerOptions): Promise<Way> {
  const server = await startRpcServer({ address: '127.0.0.1:0', router, ...(mux && { mux }) });
  const transport = openGrpcChannel(server.address);
  return {
    transport,
    close: async () => {
      transport.close();
      await server.stop({ drainMs: 50 });
    },
  };
}

async function muxOnUnixSocket(
  router: Router,
  mux: MuxServerOptions,
  dial: (path: string) => Promise<MuxLink | undefined>,
): Promise<Way> {
  const directory = await mkdtemp(join(tmpdir(), 'rpc-'));
  const server = await startRpcServer({ address: `unix:${directory}/s`, router, mux });
  const { connection } = (await dial(`${directory}/s`)) as MuxLink;
  return {
    transport: connection,
    close: async () => {
      connection.close();
      await server.stop({ drainMs: 50 });
      await rm(directory, { recursive: true });
    },
  };
}

const ways: Readonly<Record<string, (router: Router) => Promise<Way>>> = {
  'in-process': async (router) => ({ transport: inProcess(router), close: async () => undefined }),

  'grpc over tcp': (router) => grpcOverTcp(router),

  'mux over grpc on a unix socket': (router) => muxOnUnixSocket(router, {}, (path) => dialMux(`unix:${path}`)),

  'mux on a bare unix socket': (router) => muxOnUnixSocket(router, { sockets: true }, (path) => dialSocket({ path })),

  'grpc on a port that takes bare sockets too': (router) => grpcOverTcp(router, { sockets: true }),

  'mux in memory, served by the dialer': async (router) => {
    const [near, far] = memoryLinks();
    const caller = new MuxConnection(near, { role: 'acceptor', peer: 'near' });
    const callee = new MuxConnection(far, { role: 'dialer', peer: 'far', router });
    await Promise.all([caller.ready, callee.ready]);
    return { transport: caller, close: async () => caller.close() };
  },
};

describe.each(Object.entries(ways))('a call over %s', (_name, open) => {
  let probe: Probe;
  let router: Router;
  let client: Client<typeof ProbeDefinition>;
  let way: Way;

  beforeEach(async () => {
    probe = new Probe();
    router = createRouter({ services: [[ProbeDefinition, probe]] });
    way = await open(router);
    client = createClient(ProbeDefinition, way.transport);
  });

  afterEach(async () => {
    await way.close();
    await router.idle();
  });

  it('answers a message with a message', async () => {
    expect(await client.echo(data('héllo'))).toEqual(data('héllo'));
    expect(await client.echo(data(''))).toEqual(data(''));
  });

  it('carries reason, text and typed details of a failure', async () => {
    const error = await failureOf(client.fail({ ...NOTHING, domain: 'naïve "quoted"\nline' }));
    expect(error).toMatchObject({
      reason: 'LOG_TRUNCATED',
      message: 'number 3 is gone: naïve "quoted"\nline',
      details: { oldest_sequence: 17, path: 'a/b', text: '42', end: { outcome: 'exited', code: 0 }, strict: true },
    });
  });

  it('tells nothing of the inside where a handler throws something else', async () => {
    const error = await failureOf(client.fail({ ...NOTHING, reason: 'PLAIN' }));
    expect(error).toMatchObject({ reason: 'INTERNAL', message: 'internal error' });
  });

  it('hands metadata, method and peer to the handler', async () => {
    const seen = await client.describe(NOTHING, { metadata: { authorization: 'Bearer abc', 'x-trace': '1' } });
    expect(seen.reason).toBe('/probe.ProbeService/Describe');
    expect(seen.domain).not.toBe('');
    expect(seen.metadata).toMatchObject({ authorization: 'Bearer abc', 'x-trace': '1' });
  });

  it('streams answers in order, 10,000 of them', async () => {
    let expected = 1;
    for await (const { bytes } of client.count({ bytes: 10_000 })) expect(bytes).toBe(expected++);
    expect(expected).toBe(10_001);
  });

  it('delivers what came before a failure, then the failure', async () => {
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { bytes } of client.count({ bytes: 5 })) seen.push(bytes);
    })();
    expect(await failureOf(reading)).toMatchObject({ reason: 'EXECUTION_NOT_FOUND', message: 'odd' });
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it('passes raw answers as the bytes that the handler gave', async () => {
    const texts: string[] = [];
    for await (const bytes of client.download({ bytes: 3 })) {
      expect(bytes).toBeInstanceOf(Uint8Array);
      texts.push(Data.decode(bytes).bytes.toString());
    }
    expect(texts).toEqual(['1', '2', '3']);
  });

  it('takes a stream of requests', async () => {
    const requests = (async function* () {
      for (let i = 0; i < 300; i++) yield data('x'.repeat(10_000));
    })();
    expect(await client.sum(requests)).toEqual({ bytes: 3_000_000 });
  });

  it('ends the call where the stream of requests throws', async () => {
    const requests = (async function* () {
      yield data('a');
      throw new StatusError('DISK_FULL', 'nothing left');
    })();
    expect(await failureOf(client.sum(requests))).toMatchObject({ reason: 'DISK_FULL' });
    await router.idle();
  });

  it('speaks both ways at once', async () => {
    const answered: string[] = [];
    const requests = (async function* () {
      for (const text of ['a', 'b', 'c']) {
        yield data(text);
        await until(() => answered.at(-1) === text, 'the answer came');
      }
    })();
    for await (const { bytes } of client.chat(requests)) {
      answered.push(bytes.toString());
    }
    expect(answered).toEqual(['a', 'b', 'c']);
    expect(probe.left).toEqual(['chat']);
  });

  it.each([1, 16_385, 65_536, 65_537, 262_145, 5_000_000])('carries a message of %d bytes both ways', async (size) => {
    const bytes = Buffer.alloc(size, 'abcdefg');
    const answer = await client.echo({ bytes, more: true });
    expect(answer.more).toBe(true);
    expect(answer.bytes.equals(bytes)).toBe(true);
  });

  it('aborts the handler and answers at once when the caller cancels', async () => {
    const controller = new AbortController();
    const call = failureOf(client.hang(NOTHING, { signal: controller.signal }));
    await until(() => probe.contexts.length === 1, 'the call arrived');
    controller.abort();
    expect(await call).toMatchObject({ reason: 'CANCELLED' });
    await router.idle();
    expect(probe.contexts[0]?.signal.reason).toMatchObject({ name: 'StatusError', reason: 'CANCELLED' });
  });

  it('does not begin a call whose signal was aborted before', async () => {
    const options = { signal: AbortSignal.abort(new StatusError('SHUTTING_DOWN', 'stopping')) };
    expect(await failureOf(client.echo(data('a'), options))).toMatchObject({ reason: 'SHUTTING_DOWN' });
    expect(await failureOf(collect(client.count({ bytes: 2 }, options)))).toMatchObject({ reason: 'SHUTTING_DOWN' });
    expect(probe.contexts).toEqual([]);
  });

  it('aborts the handler when the reader of a stream leaves', async () => {
    for await (const { reason } of client.hangStream(NOTHING)) {
      expect(reason).toBe('first');
      break;
    }
    await router.idle();
    expect(probe.contexts[0]?.signal.reason).toMatchObject({ reason: 'CANCELLED' });
  });

  it('wakes a reader that waits when the call is cancelled', async () => {
    const controller = new AbortController();
    const stream = client.hangStream(NOTHING, { signal: controller.signal })[Symbol.asyncIterator]();
    await stream.next();
    const waiting = failureOf(stream.next());
    controller.abort();
    expect(await waiting).toMatchObject({ reason: 'CANCELLED' });
    await router.idle();
  });

  it('keeps a deadline on both sides', async () => {
    expect(await failureOf(client.hang(NOTHING, { timeoutMs: 60 }))).toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await router.idle();
    expect(probe.contexts[0]?.signal.reason).toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect(probe.contexts[0]?.deadlineMs).toBeGreaterThan(0);
    expect(await failureOf(collect(client.hangStream(NOTHING, { timeoutMs: 60 })))).toMatchObject({
      reason: 'DEADLINE_EXCEEDED',
    });
    await router.idle();
    expect(probe.contexts[1]?.signal.reason).toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
  });

  it("names AbortSignal.timeout()'s end a deadline", async () => {
    const call = client.hang(NOTHING, { signal: AbortSignal.timeout(30) });
    expect(await failureOf(call)).toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
  });

  it('has no deadline where none was asked for', async () => {
    await client.echo(data('a'));
    expect(probe.contexts[0]?.deadlineMs).toBeUndefined();
  });

  it('stops a producer whose reader does not read, and goes on with it', async () => {
    const stream = client.pour({ bytes: 50_000 })[Symbol.asyncIterator]();
    await stream.next();
    const ahead = await settled(() => probe.poured);
    expect(ahead).toBeLessThan(16 * 1024 * 1024);
    for (let i = 0; i < 400; i++) await stream.next();
    expect(probe.poured).toBeGreaterThan(ahead);
    await stream.return?.();
    await router.idle();
    expect(probe.left).toEqual(['pour']);
  });

  it('stops a caller whose requests nobody takes, and releases it at the end', async () => {
    let sent = 0;
    let released = false;
    const controller = new AbortController();
    const requests = (async function* () {
      try {
        for (;;) {
          sent += 50_000;
          yield { bytes: Buffer.alloc(50_000), more: false };
        }
      } finally {
        released = true;
      }
    })();
    const call = failureOf(client.stall(requests, { signal: controller.signal }));
    expect(await settled(() => sent)).toBeLessThan(16 * 1024 * 1024);
    controller.abort();
    expect(await call).toMatchObject({ reason: 'CANCELLED' });
    await until(() => released, 'the iterable was told');
  });

  it('refuses new calls of a closed router, lets open ones end, and aborts the rest', async () => {
    const call = failureOf(client.hang(NOTHING));
    await until(() => probe.contexts.length === 1, 'the call arrived');
    router.close();
    expect(await failureOf(client.echo(data('a')))).toMatchObject({ reason: 'SHUTTING_DOWN' });
    expect(router.openCalls).toBe(1);
    router.abort();
    expect(await call).toMatchObject({ reason: 'SHUTTING_DOWN' });
  });

  it('carries 10,000 calls, 200 at a time', async () => {
    let next = 0;
    const caller = async (): Promise<void> => {
      while (next < 10_000) {
        const text = `${next++}`;
        expect((await client.echo(data(text))).bytes.toString()).toBe(text);
      }
    };
    await Promise.all(Array.from({ length: 200 }, caller));
    expect(router.openCalls).toBe(0);
  });

  it('does not gather listeners on a signal that many calls share', async () => {
    const { signal } = new AbortController();
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    for (let i = 0; i < 50; i++) await client.echo(data('a'), { signal });
    await Promise.all(Array.from({ length: 50 }, () => client.echo(data('a'), { signal })));
    await once(AbortSignal.timeout(1), 'abort');
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

async function failureOf(call: Promise<unknown>): Promise<StatusError> {
  try {
    await call;
  } catch (thrown) {
    return thrown as StatusError;
  }
  throw new Error('the call did not fail');
}
