/** What a bare socket may do to a mux connection, and what a port does with those who dial it. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../client.js';
import type { Client } from '../definition.js';
import { startRpcServer, type MuxServerOptions, type RpcServer } from '../grpc-server.js';
import { isLinkLost } from '../link-lost.js';
import type { Authenticate } from '../prove-calls.js';
import { createRouter } from '../router.js';
import { StatusError } from '../status-error.js';
import { data, NOTHING, Probe, ProbeDefinition, until } from '../testing/probe-service.js';
import { dialSocket } from './dial-socket.js';
import { encodeFrame, MAX_FRAME_BYTES } from './frame.js';
import { withLength } from './frame-reader.js';
import type { MuxLink } from './mux-grpc.js';
import { PREFACE } from './socket-link.js';

const OPEN = withLength(
  encodeFrame(0, { $case: 'open', value: { method: '', metadata: { authorization: 'Bearer t' }, timeoutMs: 0 } }),
);

describe('mux on a bare socket', () => {
  let directory: string;
  let path: string;
  let probe: Probe;
  let server: RpcServer;
  const sockets: Socket[] = [];
  const servers: Server[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rpc-'));
    path = join(directory, 's');
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await server?.stop({ drainMs: 50 });
    for (const each of servers.splice(0)) each.close();
    await rm(directory, { recursive: true });
  });

  async function serve(mux: MuxServerOptions = { sockets: true }, authenticate?: Authenticate): Promise<void> {
    probe = new Probe();
    server = await startRpcServer({
      address: `unix:${path}`,
      router: createRouter({ services: [[ProbeDefinition, probe]] }),
      mux,
      ...(authenticate && { authenticate }),
    });
  }

  async function dial(): Promise<{ link: MuxLink; client: Client<typeof ProbeDefinition> }> {
    const link = (await dialSocket({ path })) as MuxLink;
    return { link, client: createClient(ProbeDefinition, link.connection) };
  }

  /** A connection by hand: what it sends is up to the test. */
  async function raw(): Promise<{ socket: Socket; received: () => Buffer }> {
    const socket = connect(path);
    sockets.push(socket);
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece)).on('error', () => undefined);
    await once(socket, 'connect');
    return { socket, received: () => Buffer.concat(pieces) };
  }

  /** A server by hand in front of ours, which hands bytes on as it likes. */
  async function through(pass: (bytes: Buffer, far: Socket) => void): Promise<string> {
    const front = join(directory, 'f');
    const listener = createServer((near) => {
      const far = connect(path);
      sockets.push(near, far);
      near.on('data', (bytes: Buffer) => pass(bytes, far)).on('close', () => far.destroy());
      far.on('data', (bytes: Buffer) => pass(bytes, near)).on('close', () => near.destroy());
    });
    servers.push(listener);
    await new Promise<void>((resolve) => listener.listen(front, resolve));
    return front;
  }

  it('puts frames together, wherever the stream of bytes was cut', async () => {
    await serve();
    let turn = 0;
    const front = await through((bytes, to) => {
      for (let at = 0; at < bytes.length;) {
        const size = [1, 2, 3, 5, 700, 65_535][turn++ % 6] as number;
        to.write(bytes.subarray(at, at + size));
        at += size;
      }
    });
    const link = (await dialSocket({ path: front })) as MuxLink;
    const client = createClient(ProbeDefinition, link.connection);
    for (const size of [0, 1, 3_000, 70_000, 400_000]) {
      const text = 'x'.repeat(size);
      expect((await client.echo(data(text))).bytes.toString()).toBe(text);
    }
    link.connection.close();
  });

  it('is known for what it is when its first bytes come one by one', async () => {
    await serve();
    const { socket, received } = await raw();
    for (const byte of Buffer.concat([PREFACE, OPEN])) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => received().length > PREFACE.length, 'the answer has come');
    expect(received().subarray(0, PREFACE.length)).toEqual(PREFACE);
    expect(server.connections.size).toBe(1);
  });

  it('answers undefined to a dialer where the server speaks gRPC alone', async () => {
    await serve({});
    expect(await dialSocket({ path })).toBeUndefined();
  });

  it('tells the dialer why it is refused, without a retry over gRPC', async () => {
    await serve({ sockets: true }, ({ authorization }) => {
      if (authorization !== 'Bearer right') throw new StatusError('TOKEN_INVALID', 'wrong token');
    });
    await expect(dialSocket({ path }, { token: 'wrong' })).rejects.toMatchObject({
      reason: 'TOKEN_INVALID',
      message: 'wrong token',
    });
    const link = await dialSocket({ path }, { token: 'right' });
    expect(link?.hello.generation).toBe(1);
    link?.connection.close();
  });

  it('ends a connection whose beginning or whose frames are malformed, and serves the others on', async () => {
    await serve();
    const long = Buffer.alloc(4);
    long.writeUInt32LE(MAX_FRAME_BYTES + 1);
    const ping = withLength(encodeFrame(0, { $case: 'ping', value: { id: 1 } }));
    for (const bytes of [
      [PREFACE, long],
      [PREFACE, ping],
      [PREFACE, withLength(Buffer.from('garbage'))],
      [PREFACE, OPEN, long],
      [PREFACE, OPEN, withLength(Buffer.alloc(9, 0xff))],
      [PREFACE.subarray(0, 5), Buffer.from('PRI')],
    ]) {
      const { socket } = await raw();
      socket.write(Buffer.concat(bytes));
      await once(socket, 'close');
    }
    const { link, client } = await dial();
    expect(await client.echo(data('on'))).toEqual(data('on'));
    link.connection.close();
  });

  it('says why it ends a connection, whatever else arrives on it', async () => {
    await serve();
    const { socket, received } = await raw();
    const long = Buffer.alloc(4);
    long.writeUInt32LE(MAX_FRAME_BYTES + 1);
    socket.write(Buffer.concat([PREFACE, OPEN]));
    await until(() => received().length > PREFACE.length, 'Hello has come');
    const closed = once(socket, 'close');
    socket.write(long);
    for (let piece = 0; piece < 16; piece++) {
      socket.write(Buffer.alloc(64 * 1024));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    expect(received().toString('latin1')).toContain(`a frame of ${MAX_FRAME_BYTES + 1} bytes`);
  });

  it('is a lost link to both sides where the socket breaks', async () => {
    await serve();
    const front = await through((bytes, to) => to.write(bytes));
    const link = (await dialSocket({ path: front })) as MuxLink;
    const call = createClient(ProbeDefinition, link.connection).hang(NOTHING);
    call.catch(() => undefined);
    await until(() => probe.contexts.length > 0, 'the call is there');
    for (const socket of sockets) socket.destroy();
    const reason = await link.closed;
    expect(isLinkLost(reason)).toBe(true);
    await expect(call).rejects.toBe(reason);
    await until(() => probe.contexts[0]?.signal.aborted === true, 'the handler has heard');
  });

  it('gives up a dial that nobody answers, or that nobody answers in time', async () => {
    await expect(dialSocket({ path })).rejects.toMatchObject({ reason: 'SHIP_UNREACHABLE' });
    const silent = createServer((socket) => sockets.push(socket));
    servers.push(silent);
    await new Promise<void>((resolve) => silent.listen(path, resolve));
    await expect(dialSocket({ path }, { timeoutMs: 50 })).rejects.toMatchObject({ reason: 'SHIP_UNREACHABLE' });
    const leaving = AbortSignal.timeout(50);
    await expect(dialSocket({ path }, { signal: leaving })).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
  });

  it('ends in good order when the server stops, and by force where the peer does not leave', async () => {
    await serve();
    const { link } = await dial();
    const { socket } = await raw();
    socket.write(Buffer.concat([PREFACE, OPEN]));
    await until(() => server.connections.size === 2, 'both are there');
    const [reason] = await Promise.all([link.closed, server.stop({ drainMs: 200 }), once(socket, 'close')]);
    expect(reason.reason).toBe('SHUTTING_DOWN');
    expect(server.connections.size).toBe(0);
  });
});
