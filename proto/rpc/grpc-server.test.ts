import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2, type ClientHttp2Session, type Settings } from 'node:http2';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from './client.js';
import { openGrpcChannel } from './grpc-client.js';
import { startRpcServer, type RpcServer } from './grpc-server.js';
import { isLinkLost } from './link-lost.js';
import { dialMux } from './mux/mux-grpc.js';
import { createRouter, type Router } from './router.js';
import { StatusError } from './status-error.js';
import { data, NOTHING, Probe, ProbeDefinition, until } from './testing/probe-service.js';
import { FLOW_CONTROL_WINDOW_BYTES } from './window.js';

describe('startRpcServer', () => {
  let probe: Probe;
  let router: Router;
  let directory: string;
  const servers: RpcServer[] = [];

  beforeEach(async () => {
    probe = new Probe();
    router = createRouter({ services: [[ProbeDefinition, probe]] });
    directory = await mkdtemp(join(tmpdir(), 'rpc-'));
  });

  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop({ drainMs: 20 })));
    await rm(directory, { recursive: true });
  });

  async function start(options: Partial<Parameters<typeof startRpcServer>[0]> = {}): Promise<RpcServer> {
    const server = await startRpcServer({ address: '127.0.0.1:0', router, ...options });
    servers.push(server);
    return server;
  }

  it('names the address that is in use', async () => {
    const { address } = await start();
    await expect(start({ address })).rejects.toMatchObject({ code: 'EADDRINUSE', message: `${address} is in use` });
  });

  it('takes the place of a dead socket, but not of one that is answered, of a file, or on a path that is too long', async () => {
    const path = join(directory, 's');
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(path, resolve));
    await expect(start({ address: `unix:${path}` })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const { renameSync } = await import('node:fs');
    renameSync(path, `${path}-moved`); // so that close() does not remove it
    await new Promise((resolve) => dead.close(resolve));
    renameSync(`${path}-moved`, path);
    expect(existsSync(path)).toBe(true);
    const server = await start({ address: `unix:${path}`, mux: {} });
    const { connection } = await dialMux(server.address);
    connection.close();
    await writeFile(join(directory, 'file'), '');
    await expect(start({ address: `unix:${directory}/file` })).rejects.toThrow('not a socket');
    await expect(start({ address: `unix:${directory}/${'x'.repeat(90)}` })).rejects.toThrow('longer than 100 bytes');
  });

  it('gives its HTTP/2 connections the wide window, and other servers of the process none', async () => {
    const { address } = await start();
    const session: ClientHttp2Session = connectHttp2(`http://${address}`);
    const settings = await new Promise<Settings>((resolve) => {
      session.on('remoteSettings', (remote: Settings) => {
        if (remote.initialWindowSize === FLOW_CONTROL_WINDOW_BYTES) resolve(remote);
      });
    });
    expect(settings.initialWindowSize).toBe(FLOW_CONTROL_WINDOW_BYTES);
    await until(() => (session.state.remoteWindowSize ?? 0) >= FLOW_CONTROL_WINDOW_BYTES, 'the connection is wide too');
    session.destroy();
  });

  it('sends small frames at once: TCP_NODELAY on both ends', async () => {
    const set = jestSpy(Socket.prototype, 'setNoDelay');
    const { address } = await start({ mux: {} });
    const { connection } = await dialMux(address);
    expect(set.calls.filter(([enable]) => enable !== false).length).toBeGreaterThanOrEqual(2);
    set.restore();
    connection.close();
  });

  it('answers a malformed message as every way in does', async () => {
    const { address } = await start();
    const channel = openGrpcChannel(address);
    const broken = {
      ...ProbeDefinition.methods.echo.requestType,
      encode: () => ({ finish: () => Buffer.from([0x0a, 0x7f]) }),
    };
    const definition = {
      ...ProbeDefinition,
      methods: { echo: { ...ProbeDefinition.methods.echo, requestType: broken } },
    };
    await expect(createClient(definition, channel).echo(data('a'))).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
    });
    channel.close();
  });

  it('lets in over Connect whom authenticate() lets in', async () => {
    const { address, connections } = await start({
      mux: { hello: () => ({ shipId: 'ship-1', incarnation: 3 }) },
      authenticate: ({ authorization }) => {
        if (!authorization) throw new StatusError('TOKEN_MISSING', 'no token');
        if (authorization !== 'Bearer right')
          throw new StatusError('TOKEN_INVALID', 'wrong token', { details: { a: 1 } });
      },
    });
    await expect(dialMux(address)).rejects.toMatchObject({ reason: 'TOKEN_MISSING' });
    await expect(dialMux(address, { token: 'wrong' })).rejects.toMatchObject({
      reason: 'TOKEN_INVALID',
      details: { a: 1 },
    });
    const link = await dialMux(address, { token: 'right' });
    expect(link.hello).toMatchObject({ generation: 1, shipId: 'ship-1', incarnation: 3 });
    const client = createClient(ProbeDefinition, link.connection);
    expect((await client.describe(NOTHING)).metadata).toEqual({ authorization: 'Bearer right' });
    const own = await client.describe(NOTHING, { metadata: { authorization: 'Bearer other' } });
    expect(own.metadata).toEqual({ authorization: 'Bearer other' });
    expect(connections.size).toBe(1);
    link.connection.close();
    await until(() => connections.size === 0, 'the server saw it');
  });

  it('calls back over a connection that the peer dialled', async () => {
    let answer: Promise<unknown> | undefined;
    const { address } = await start({
      mux: {
        onConnection: (connection) => {
          answer = createClient(ProbeDefinition, connection).echo(data('back'));
        },
      },
    });
    const { connection } = await dialMux(address, { router });
    expect(await answer).toEqual(data('back'));
    connection.close();
  });

  it('cancels the calls of a peer that vanishes', async () => {
    const { address } = await start({ mux: {} });
    const { connection } = await dialMux(address);
    const call = createClient(ProbeDefinition, connection)
      .hang(NOTHING)
      .catch((error: StatusError) => error);
    await until(() => probe.contexts.length === 1, 'the call arrived');
    connection.close();
    expect(isLinkLost(await call)).toBe(true);
    await router.idle();
    expect(probe.contexts[0]?.signal.reason).toMatchObject({ reason: 'CANCELLED' });
  });

  it('drains: open calls end, new ones are refused, and the connection ends in good order', async () => {
    const server = await start({ mux: {} });
    const { connection, closed } = await dialMux(server.address);
    const client = createClient(ProbeDefinition, connection);
    const controller = new AbortController();
    const call = client.hang(NOTHING, { signal: controller.signal }).catch((error: StatusError) => error);
    await until(() => probe.contexts.length === 1, 'the call arrived');
    const stopping = server.stop({ drainMs: 10_000 });
    await expect(client.echo(data('a'))).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
    controller.abort();
    expect(await call).toMatchObject({ reason: 'CANCELLED' });
    await stopping;
    expect(await closed).toMatchObject({ reason: 'SHUTTING_DOWN' });
  });

  it('aborts what outlasts the drain, over the mux and beside it', async () => {
    const server = await start({ mux: {} });
    const { connection } = await dialMux(server.address);
    const channel = openGrpcChannel(server.address);
    const calls = [connection, channel].map((transport) =>
      createClient(ProbeDefinition, transport)
        .hang(NOTHING)
        .catch((error: StatusError) => error),
    );
    await until(() => probe.contexts.length === 2, 'the calls arrived');
    await server.stop({ drainMs: 20 });
    for (const error of await Promise.all(calls)) expect(error).toMatchObject({ reason: 'SHUTTING_DOWN' });
    channel.close();
  });
});

describe('dialMux', () => {
  it('says that nobody answers', async () => {
    const failure = await dialMux('127.0.0.1:1').catch((error: StatusError) => error);
    expect(failure).toMatchObject({ reason: 'SHIP_UNREACHABLE' });
    expect(isLinkLost(failure)).toBe(true);
  });

  it('gives up in time, and when it is told to', async () => {
    const sockets = new Set<Socket>();
    const deaf = createServer((socket) => {
      sockets.add(socket.resume());
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(deaf.address() as { port: number }).port}`;
    await expect(dialMux(address, { timeoutMs: 30 })).rejects.toMatchObject({ reason: 'SHIP_UNREACHABLE' });
    await expect(dialMux(address, { signal: AbortSignal.timeout(30) })).rejects.toMatchObject({
      reason: 'DEADLINE_EXCEEDED',
    });
    await until(() => sockets.size === 0, 'its sockets are closed');
    deaf.close();
  });
});

/** Counts calls and lets them through. */
function jestSpy(target: Socket, name: 'setNoDelay'): { calls: unknown[][]; restore: () => void } {
  const original = Object.getOwnPropertyDescriptor(target, name) as PropertyDescriptor;
  const calls: unknown[][] = [];
  const value = function (this: Socket, ...args: [boolean?]): Socket {
    calls.push(args);
    return (original.value as (enable?: boolean) => Socket).apply(this, args);
  };
  Object.defineProperty(target, name, { ...original, value });
  return { calls, restore: () => void Object.defineProperty(target, name, original) };
}
