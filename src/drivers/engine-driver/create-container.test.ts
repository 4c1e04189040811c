import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { silentLog, type Log } from '../../telemetry/log.js';
import { createContainer } from './create-container.js';
import { findEngine, type Engine } from './engine.js';

/** A call that waits until the test answers it. */
interface Held {
  readonly call: string;
  answer(status: number, body?: object): void;
  cut(): void;
}

describe('making a container', () => {
  let server: Server;
  let engine: Engine;
  let calls: AsyncQueue<Held>;
  /** Told when what lies beside a container that is gone is removed. */
  let beside: AsyncQueue<string>;
  const removeBeside = async () => beside.push('removed');
  beforeEach(async () => {
    calls = new AsyncQueue();
    beside = new AsyncQueue();
    server = createServer((request, response) => {
      if (/\/(version|info)/.test(request.url ?? '')) response.end('{"Version":"1"}');
      else calls.push(hold(request, response));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    engine = await findEngine('docker', { dockerHost: `tcp://127.0.0.1:${port}` }, AbortSignal.timeout(10_000));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const make = (signal: AbortSignal, log: Log = silentLog, graceMs = 0) =>
    createContainer({ engine, log, removeBeside, graceMs }, { name: 'ship-1', Image: 'ship' }, signal);
  /** One whose caller left before the engine answered, and the engine's side of it. */
  const abandoned = async (log?: Log) => {
    const caller = new AbortController();
    const made = make(caller.signal, log);
    const held = await calls.next();
    caller.abort(new Error('the caller left'));
    await expect(made).rejects.toThrow('the caller left');
    return held;
  };

  it('lets its caller go after the grace, and removes what the engine makes after that, by its id', async () => {
    const held = await abandoned();
    expect(held.call).toBe('POST create?name=ship-1');
    held.answer(201, { Id: 'late' });
    const removal = await calls.next();
    expect(removal.call).toBe('DELETE late');
    removal.answer(204);
    expect(await beside.next()).toBe('removed');
  });

  it('keeps a caller who left until a container that comes within the grace is gone', async () => {
    const caller = new AbortController();
    const made = make(caller.signal, silentLog, 60_000);
    const held = await calls.next();
    caller.abort(new Error('the caller left'));
    held.answer(201, { Id: 'soon' });
    const removal = await calls.next();
    expect(removal.call).toBe('DELETE soon');
    removal.answer(204);
    await expect(made).rejects.toThrow('the caller left');
  });

  it('tells of a container that it cannot know of, since the connection broke', async () => {
    const told = new AsyncQueue<unknown>();
    const held = await abandoned({ ...silentLog, warn: (fields) => told.push(fields) });
    held.cut();
    expect(await told.next()).toMatchObject({ container: 'ship-1' });
  });

  it('makes its own when a late one of the same name is out of the way, whoever removed that', async () => {
    const made = make(AbortSignal.timeout(10_000));
    const conflict = { message: 'Conflict. The container name "/ship-1" is already in use by container "late".' };
    (await calls.next()).answer(409, conflict);
    const removal = await calls.next();
    expect(removal.call).toBe('DELETE ship-1');
    removal.answer(404, { message: 'No such container: ship-1' });
    (await calls.next()).answer(201, { Id: 'own' });
    expect((await made).id).toBe('own');
  });
});

function hold(request: IncomingMessage, response: ServerResponse): Held {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://engine');
  const name = searchParams.get('name');
  return {
    call: `${request.method} ${pathname.split('/').at(-1)}${name === null ? '' : `?name=${name}`}`,
    answer: (status, body = {}) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(status === 204 ? undefined : JSON.stringify(body));
    },
    cut: () => request.socket.destroy(),
  };
}

class AsyncQueue<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  push(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#items.push(item);
  }

  next(): Promise<T> {
    const item = this.#items.shift();
    return item === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(item);
  }
}
