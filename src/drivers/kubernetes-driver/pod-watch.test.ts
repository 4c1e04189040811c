import type { ServerResponse } from 'node:http';
import { pino } from 'pino';
import { PodWatch } from './pod-watch.js';
import { ApiServer } from './testing/api-server.js';

const SOON_MS = 10_000;
const GONE = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } };

const podOf = (name: string, resourceVersion: string) => ({ metadata: { name, resourceVersion }, status: {} });

describe('PodWatch', () => {
  let server: ApiServer;
  let watch: PodWatch;
  /** What lists answer, in pages, and which versions watches asked to go on from. */
  let pages: { items: object[]; metadata: object }[];
  let lists: number;
  /** What the server has of single Pods. */
  let singles: Record<string, object>;
  let resumed: string[];
  /** Whoever waits for the next watch gets its open answer. */
  let watches: ((response: ServerResponse) => void)[];
  let opened: ServerResponse[];

  beforeEach(async () => {
    [lists, resumed, watches, opened, singles] = [0, [], [], [], {}];
    pages = [{ items: [podOf('a', '1')], metadata: { resourceVersion: '10' } }];
    server = await ApiServer.start((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://server');
      const [, single] = /\/pods\/(.+)$/.exec(pathname) ?? [];
      if (single !== undefined) {
        const pod = singles[single];
        const details = { name: single, kind: 'pods' };
        response.writeHead(pod ? 200 : 404, { 'content-type': 'application/json' });
        response.end(JSON.stringify(pod ?? { kind: 'Status', reason: 'NotFound', message: 'not found', details }));
        return;
      }
      response.writeHead(200, { 'content-type': 'application/json' });
      if (!searchParams.has('watch')) {
        lists += 1;
        response.end(JSON.stringify(pages[Number(searchParams.get('continue') ?? 0)]));
        return;
      }
      resumed.push(searchParams.get('resourceVersion') ?? '');
      response.flushHeaders();
      const taker = watches.shift();
      if (taker) taker(response);
      else opened.push(response);
    });
    watch = new PodWatch(
      { client: server.client, namespace: 'ships', name: 'test' },
      'deployment=one',
      pino({ level: 'silent' }),
    );
  });
  afterEach(async () => {
    await watch.close();
    await server.close();
  });

  const nextWatch = (): Promise<ServerResponse> => {
    const there = opened.shift();
    return there ? Promise.resolve(there) : new Promise((resolve) => watches.push(resolve));
  };
  const say = (response: ServerResponse, event: object) => response.write(`${JSON.stringify(event)}\n`);
  const names = () => watch.all().map(({ metadata }) => metadata?.name);
  const isThere = (name: string) =>
    watch.until(name, (change) => (change.pod ? true : undefined), AbortSignal.timeout(SOON_MS));
  const isGone = (name: string) => {
    const judge = (change: { pod?: unknown }) => (change.pod ? undefined : true);
    return watch.until(name, judge, AbortSignal.timeout(SOON_MS));
  };

  it('knows all Pods from one list in pages, and what changes from one watch', async () => {
    pages = [
      { items: [podOf('a', '1')], metadata: { continue: '1' } },
      { items: [podOf('b', '2')], metadata: { resourceVersion: '10' } },
    ];
    await Promise.all([watch.ready(), watch.ready()]);
    expect(names()).toEqual(['a', 'b']);
    const response = await nextWatch();
    say(response, { type: 'ADDED', object: podOf('c', '11') });
    await isThere('c');
    say(response, { type: 'DELETED', object: podOf('a', '12') });
    await isGone('a');
    await watch.ready();
    expect([names(), lists, resumed]).toEqual([['b', 'c'], 2, ['10']]);
  });

  it('goes on after a break where it was, also from a bookmark, without a list', async () => {
    await watch.ready();
    const first = await nextWatch();
    say(first, { type: 'MODIFIED', object: podOf('a', '11') });
    first.end(`${JSON.stringify({ type: 'BOOKMARK', object: podOf('', '25') })}\n`);
    const second = await nextWatch();
    second.destroy();
    await nextWatch();
    expect([lists, resumed]).toEqual([1, ['10', '25', '25']]);
  });

  it('tells what the server itself says of a Pod, where the watch is silent', async () => {
    await watch.ready();
    await nextWatch();
    const [there, gone] = [isThere('b'), isGone('a')];
    singles = { b: podOf('b', '11') };
    for (const name of ['a', 'b', 'never']) await watch.ask(name, AbortSignal.timeout(SOON_MS));
    await Promise.all([there, gone]);
    expect([names(), lists]).toEqual([['b'], 1]);
  });

  it('lists anew where the server has forgotten the version, and tells what went in between', async () => {
    await watch.ready();
    const first = await nextWatch();
    const gone = isGone('a');
    pages = [{ items: [podOf('b', '30')], metadata: { resourceVersion: '31' } }];
    say(first, GONE);
    await gone;
    await nextWatch();
    expect([names(), lists, resumed]).toEqual([['b'], 2, ['10', '31']]);
  });
});
