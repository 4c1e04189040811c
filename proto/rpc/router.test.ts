import { around } from './around.js';
import { withMetadata } from './call.js';
import { createClient } from './client.js';
import { inProcess } from './in-process.js';
import { createRouter, type Interceptor } from './router.js';
import { StatusError } from './status-error.js';
import { data, NOTHING, Probe, ProbeDefinition, until } from './testing/probe-service.js';

function clientOf(interceptors: readonly Interceptor[], probe = new Probe()) {
  return createClient(ProbeDefinition, inProcess(createRouter({ services: [[ProbeDefinition, probe]], interceptors })));
}

describe('createRouter', () => {
  it('refuses a service without all of its methods, and one that is there twice', () => {
    expect(() =>
      createRouter({ services: [[ProbeDefinition, { echo: async () => data('') } as unknown as Probe]] }),
    ).toThrow('/probe.ProbeService/Fail has no implementation');
    const pair = [ProbeDefinition, new Probe()] as const;
    expect(() => createRouter({ services: [pair, pair] })).toThrow('is served twice');
  });

  it('does not know other paths', () => {
    const router = createRouter({ services: [[ProbeDefinition, new Probe()]] });
    expect(() => router.route('/probe.ProbeService/Nothing')).toThrow(StatusError);
  });

  it('calls the first interceptor outermost, for one answer and for streams', async () => {
    const seen: string[] = [];
    const named = (name: string): Interceptor =>
      around((_ctx, method) => {
        seen.push(`${name} in ${method.key}`);
        return { end: () => seen.push(`${name} out`) };
      });
    const client = clientOf([named('a'), named('b')]);
    await client.echo(data('x'));
    for await (const _answer of client.count({ bytes: 2 })) seen.push('answer');
    expect(seen).toEqual([
      ...['a in echo', 'b in echo', 'b out', 'a out'],
      ...['a in count', 'b in count', 'answer', 'answer', 'b out', 'a out'],
    ]);
  });

  it('leaves an interceptor out of the calls that it has nothing for', async () => {
    const refuse: Interceptor = { stream: () => () => { throw new StatusError('TOKEN_MISSING', 'no streams'); } }; // prettier-ignore
    const client = clientOf([refuse]);
    expect(await client.echo(data('x'))).toEqual(data('x'));
    await expect(client.count({ bytes: 1 })[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      reason: 'TOKEN_MISSING',
    });
  });
});

describe('around', () => {
  it.each(['at once', 'later'])('refuses a call before the handler sees it, %s', async (when) => {
    const probe = new Probe();
    const refusal = new StatusError('TOKEN_INVALID', 'wrong');
    const client = clientOf(
      [
        around(() => {
          if (when === 'later') return Promise.reject(refusal);
          throw refusal;
        }),
      ],
      probe,
    );
    await expect(client.echo(data('x'))).rejects.toBe(refusal);
    await expect(client.count({ bytes: 2 })[Symbol.asyncIterator]().next()).rejects.toBe(refusal);
    expect(probe.contexts).toEqual([]);
  });

  it('hands the handler another context, which keeps the signal', async () => {
    const probe = new Probe();
    const client = clientOf([around((ctx) => ({ ctx: withMetadata(ctx, { ...ctx.metadata, who: 'me' }) }))], probe);
    expect((await client.describe(NOTHING)).metadata).toEqual({ who: 'me' });
    expect(probe.contexts[0]?.signal).toBeInstanceOf(AbortSignal);
  });

  it('sees the request of a method that takes one', async () => {
    const requests: unknown[] = [];
    const client = clientOf([around((_ctx, _method, request) => void requests.push(request))]);
    await client.echo(data('x'));
    await client.sum((async function* () {})());
    expect(requests).toEqual([data('x'), undefined]);
  });

  it('tells how a call ended: answered, failed, or left by its reader', async () => {
    const ends: (string | undefined)[] = [];
    const client = clientOf([around(() => ({ end: (error) => ends.push(error?.reason) }))]);
    await client.echo(data('x'));
    await client.fail({ ...NOTHING, reason: 'PLAIN' }).catch(() => undefined);
    for await (const _answer of client.count({ bytes: 3 })) break;
    await until(() => ends.length === 3, 'the handler was closed');
    expect(ends).toEqual([undefined, 'INTERNAL', undefined]);
  });
});
