/** What a port holds of those who have not shown who they are, and that they keep nobody else out. */
import { credentials as grpcCredentials, ServerCredentials, status, type ChannelCredentials } from '@grpc/grpc-js';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { connect, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { createClient } from './client.js';
import type { Client } from './definition.js';
import { openGrpcChannel } from './grpc-client.js';
import { startRpcServer, type RpcServer } from './grpc-server.js';
import { MAX_OPEN_BYTES } from './mux/accept-socket.js';
import { dialSocket } from './mux/dial-socket.js';
import { encodeFrame } from './mux/frame.js';
import { withLength } from './mux/frame-reader.js';
import { dialMux } from './mux/mux-grpc.js';
import { PREFACE } from './mux/socket-link.js';
import { createRouter } from './router.js';
import { StatusError } from './status-error.js';
import { data, Probe, ProbeDefinition, until } from './testing/probe-service.js';
import { MAX_UNPROVEN, Unproven } from './unproven.js';

const HOST = '127.0.0.1';
const CONNECTIONS = 200;
/** An HTTP/2 client's preface, and its empty SETTINGS. */
const GRPC_BEGINNING = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

type Caller = Client<typeof ProbeDefinition>;

let server: RpcServer;
const ends: (() => unknown)[] = [];

afterEach(() => Promise.all(ends.splice(0).map((end) => end())));

async function serve(credentials?: ServerCredentials): Promise<void> {
  server = await startRpcServer({
    address: `${HOST}:0`,
    router: createRouter({ services: [[ProbeDefinition, new Probe()]] }),
    authenticate: ({ authorization }) => {
      if (authorization !== 'Bearer right') throw new StatusError('TOKEN_INVALID', 'wrong token');
    },
    mux: { sockets: true },
    extend: (grpc) =>
      grpc.addService(
        { ask: { path: '/open.Open/Ask', requestStream: false, responseStream: false, ...BYTES } },
        { ask: (_call: unknown, answer: (error: null, bytes: Buffer) => void) => answer(null, Buffer.alloc(0)) },
      ),
    ...(credentials && { credentials }),
  });
  ends.push(() => server.stop({ drainMs: 20 }));
}

const same = (bytes: Buffer): Buffer => bytes;
const BYTES = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

function own(socket: Socket): Socket {
  ends.push(() => socket.destroy());
  return socket.on('error', () => undefined).resume();
}

/** Connections that do nothing more than `beginning`; those that still stand. */
async function flood(beginning: Buffer | undefined, make: () => Socket = dial): Promise<ReadonlySet<Socket>> {
  const standing = new Set<Socket>();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const socket = own(make());
      standing.add(socket);
      socket.once('close', () => standing.delete(socket));
      if (beginning) socket.write(beginning);
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
    }),
  );
  return standing;
}

const dial = (): Socket => connect(server.port, HOST);

function overGrpc(credentials?: ChannelCredentials): Caller {
  const metadata = { authorization: 'Bearer right' };
  const channel = openGrpcChannel(server.address, { metadata, ...(credentials && { credentials }) });
  ends.push(() => channel.close());
  return createClient(ProbeDefinition, channel);
}

async function overMux(): Promise<Caller> {
  const link = await dialSocket({ host: HOST, port: server.port }, { token: 'right' });
  if (!link) throw new Error('no mux on a bare socket');
  ends.push(() => link.connection.close());
  return createClient(ProbeDefinition, link.connection);
}

/** A gRPC client by hand, without a token. */
function openSession(): {
  session: ClientHttp2Session;
  /** @returns the call's status; where it does not end, its message is still to come */
  ask: (path: string, call?: { ends: boolean }) => Promise<unknown>;
} {
  const session = connectHttp2(`http://${server.address}`).on('error', () => undefined);
  ends.push(() => session.destroy());
  const ask = async (path: string, { ends: isWhole } = { ends: true }): Promise<unknown> => {
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
    const request = session
      .request(headers, { endStream: false })
      .on('error', () => undefined)
      .resume();
    if (isWhole) request.end(Buffer.alloc(5));
    return new Promise((resolve) => {
      const take = (fields: IncomingHttpHeaders): void => {
        if (fields['grpc-status'] !== undefined) resolve(fields['grpc-status']);
      };
      request.on('response', take).on('trailers', take);
    });
  };
  return { session, ask };
}

async function expectService(...callers: readonly Caller[]): Promise<void> {
  for (const caller of callers) expect(await caller.echo(data('a'))).toEqual(data('a'));
}

describe('Unproven', () => {
  it('ends the oldest of the origin that holds most, so that a flood keeps nobody out who comes from elsewhere', () => {
    const unproven = new Unproven();
    const from = (remoteAddress: string): Socket => {
      const socket = own(Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress }));
      unproven.hold(socket);
      return socket;
    };
    const elsewhere = from('10.0.0.1');
    const flood = Array.from({ length: 2 * MAX_UNPROVEN }, (_, at) => from(`127.0.${at}.1`)); // one host's, all of them
    expect(unproven.size).toBe(MAX_UNPROVEN);
    expect(elsewhere.destroyed).toBe(false);
    expect(flood.map(({ destroyed }) => destroyed)).toEqual(flood.map((_, at) => at <= MAX_UNPROVEN));
  });
});

describe('a port without TLS', () => {
  const kinds = [
    ['that say nothing', undefined],
    ['that begin as mux', Buffer.concat([PREFACE, Buffer.from([0, 16])])],
    ['that begin as gRPC', GRPC_BEGINNING],
  ] as const;

  it.each(kinds)('holds few connections %s, and serves who has the token', async (_name, beginning) => {
    await serve();
    const before = [await overMux(), overGrpc()];
    await expectService(...before);
    const standing = await flood(beginning);
    await until(() => standing.size <= MAX_UNPROVEN, 'most of them are ended');
    await expectService(...before, await overMux(), overGrpc());
    expect(server.connections.size).toBe(2);
  });

  it('holds them for a short time, but for those that it let in, and those that may ask it something', async () => {
    await serve();
    const before = [await overMux(), overGrpc()];
    await expectService(...before);
    const { session, ask } = openSession();
    expect(await ask('/open.Open/Ask')).toBe('0');
    const closed = kinds.map(([, beginning]) => {
      const socket = own(dial());
      if (beginning) socket.write(beginning);
      return once(socket, 'close');
    });
    await Promise.all(closed);
    await expectService(...before);
    expect(await ask('/open.Open/Ask')).toBe('0');
    const displaced = once(session, 'close');
    await flood(undefined);
    await displaced;
    expect(server.connections.size).toBe(1);
  });

  it('reads no message of a call before the call may be made', async () => {
    await serve();
    const { ask } = openSession();
    expect(await ask('/probe.ProbeService/Echo', { ends: false })).toBe(String(status.UNAUTHENTICATED));
  });

  it('refuses an Open that is larger than any token, before it is there', async () => {
    await serve();
    const socket = own(dial());
    const received: Buffer[] = [];
    socket.on('data', (piece: Buffer) => received.push(piece));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(MAX_OPEN_BYTES + 1);
    socket.write(Buffer.concat([PREFACE, length]));
    await once(socket, 'close');
    expect(Buffer.concat(received).toString('latin1')).toContain(`a frame of ${MAX_OPEN_BYTES + 1} bytes`);
  });

  it('takes an Open that is nearly as large', async () => {
    await serve();
    const metadata = { authorization: 'Bearer right', more: 'x'.repeat(MAX_OPEN_BYTES - 1000) };
    const link = await dialSocket({ host: HOST, port: server.port }, { metadata });
    expect(link?.hello.generation).toBe(1);
    link?.connection.close();
  });

  it('ends the connection of a peer with a wrong token, and tells it why', async () => {
    await serve();
    const socket = own(dial());
    const value = { method: '', metadata: { authorization: 'Bearer wrong' }, timeoutMs: 0 };
    socket.write(Buffer.concat([PREFACE, withLength(encodeFrame(0, { $case: 'open', value }))]));
    await once(socket, 'close');
    const channel = openGrpcChannel(server.address);
    ends.push(() => channel.close());
    await expect(createClient(ProbeDefinition, channel).echo(data('a'))).rejects.toMatchObject({
      reason: 'TOKEN_INVALID',
      message: 'wrong token',
    });
  });
});

describe('a port with TLS and certificates of clients', () => {
  let directory: string;
  let pem: { readonly cert: Buffer; readonly key: Buffer };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tls-'));
    const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
    const subject = ['-subj', '/CN=localhost', '-addext', `subjectAltName=DNS:localhost,IP:${HOST}`];
    await promisify(execFile)('openssl', ['req', '-x509', '-days', '2', ...key, '-out', certFile, ...subject]);
    pem = { cert: await readFile(certFile), key: await readFile(keyFile) };
  });

  afterAll(() => rm(directory, { recursive: true }));

  function serveTls(): Promise<void> {
    return serve(ServerCredentials.createSsl(pem.cert, [{ cert_chain: pem.cert, private_key: pem.key }], true));
  }

  const dialTls = (): Socket =>
    connectTls({ ...pem, ca: pem.cert, host: HOST, port: server.port, servername: 'localhost', ALPNProtocols: ['h2'] });

  const trusted = (): ChannelCredentials => grpcCredentials.createSsl(pem.cert, pem.key, pem.cert);

  async function withToken(): Promise<readonly Caller[]> {
    const link = await dialMux(server.address, { credentials: trusted(), token: 'right', serverName: 'localhost' });
    ends.push(() => link.connection.close());
    return [createClient(ProbeDefinition, link.connection), overGrpc(trusted())];
  }

  const kinds = [
    ['that say nothing', undefined, dial],
    ['that end no handshake', Buffer.from([22, 3, 1, 2, 0]), dial],
    ['that are silent behind the handshake', undefined, () => dialTls()],
    ['that begin as gRPC behind the handshake', GRPC_BEGINNING, () => dialTls()],
  ] as const;

  it.each(kinds)('holds few connections %s, and serves who has the token', async (_name, beginning, make) => {
    await serveTls();
    const before = await withToken();
    await expectService(...before);
    const standing = await flood(beginning, make);
    await until(() => standing.size <= MAX_UNPROVEN, 'most of them are ended');
    await expectService(...before, ...(await withToken()));
  });

  it('holds them for a short time, but for those that it let in', async () => {
    await serveTls();
    const before = await withToken();
    await expectService(...before);
    const closed = kinds.map(([, beginning, make]) => {
      const socket = own(make());
      if (beginning) socket.write(beginning);
      return once(socket, 'close');
    });
    await Promise.all(closed);
    await expectService(...before);
    expect(server.connections.size).toBe(1);
  });

  it('serves nobody without a certificate', async () => {
    await serveTls();
    await expect(overGrpc(grpcCredentials.createSsl(pem.cert)).echo(data('a'))).rejects.toMatchObject({
      reason: 'SHIP_UNREACHABLE',
    });
  });
});
