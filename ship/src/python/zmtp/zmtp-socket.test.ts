/** Against libzmq's own sockets, which a kernel has, and against a peer that cuts and lies as it likes. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Router, XPublisher } from 'zeromq';
import { until } from '../../../../proto/rpc/testing/probe-service.js';
import { encodeGreeting, encodeMessage, encodeReady } from './frame.js';
import { ZmtpSocket, type ZmtpSocketOptions } from './zmtp-socket.js';

/** toEqual takes a second for a megabyte. */
const areSame = (a: readonly Buffer[], b: readonly Buffer[]): boolean =>
  a.length === b.length && a.every((frame, at) => frame.equals(b[at]!));

describe('a ZMTP socket', () => {
  let folder: string;
  let path: string;
  let received: (readonly Buffer[])[];
  let faults: string[];
  const closing: { close(): unknown }[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zmtp-'));
    path = join(folder, 's');
    [received, faults] = [[], []];
  });
  afterEach(() => {
    for (const each of closing.splice(0)) each.close();
    rmSync(folder, { recursive: true });
  });

  function open(options: Partial<ZmtpSocketOptions> = {}): ZmtpSocket {
    const socket = new ZmtpSocket({
      type: 'DEALER',
      path,
      identity: 'me',
      bounded: true,
      onMessage: (frames) => void received.push(frames),
      onFault: (error) => faults.push(error.message),
      ...options,
    });
    closing.push(socket);
    return socket;
  }

  async function bound<T extends Router | XPublisher>(peer: T, at = path): Promise<T> {
    closing.push(peer);
    await peer.bind(`ipc://${at}`);
    return peer;
  }

  /** A peer by hand. */
  async function serve(talk: (socket: Socket) => void): Promise<Server> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      talk(socket);
    });
    closing.push({ close: () => (server.close(), sockets.forEach((socket) => socket.destroy())) });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return server;
  }

  const hello = Buffer.concat([encodeGreeting(), encodeReady('DEALER', '')]);

  it.each([0, 1, 255, 256, 70_000, 3_000_000])('carries frames of %d bytes both ways', async (size) => {
    const router = await bound(new Router());
    const frames = [randomBytes(size), Buffer.alloc(0), randomBytes(size)];
    open().send(frames);
    const [sender, ...arrived] = await router.receive();
    expect(sender).toEqual(Buffer.from('me'));
    expect(areSame(arrived, frames)).toBe(true);
    await router.send([sender!, ...frames]);
    await until(() => received.length === 1, 'the answer is here');
    expect(areSame(received[0]!, frames)).toBe(true);
  });

  it('waits for a peer that is not there yet, and keeps what was sent meanwhile, in order', async () => {
    const socket = open();
    for (const text of ['a', 'b', 'c']) socket.send([Buffer.from(text)]);
    const router = await bound(new Router());
    for (const text of ['a', 'b', 'c']) expect(String((await router.receive())[1])).toBe(text);
  });

  it('comes back to a peer that went away', async () => {
    const first = await bound(new Router());
    const socket = open();
    socket.send([Buffer.from('1')]);
    await first.receive();
    first.close();
    const second = await bound(new Router());
    // What is written into a connection that breaks is lost, as with any socket: asked for until it comes.
    const asking = setInterval(() => socket.send([Buffer.from('2')]), 20);
    closing.push({ close: () => clearInterval(asking) });
    expect(String((await second.receive())[1])).toBe('2');
  });

  it('subscribes to everything, and gets it in order', async () => {
    const publisher = await bound(new XPublisher());
    open({ type: 'SUB' });
    expect((await publisher.receive())[0]).toEqual(Buffer.of(1));
    const messages = Array.from({ length: 500 }, (_, index) => [Buffer.from([index & 255]), randomBytes(index * 7)]);
    for (const message of messages) await publisher.send(message);
    await until(() => received.length === messages.length, 'all have come');
    expect(received.every((frames, at) => areSame(frames, messages[at]!))).toBe(true);
  });

  it('makes the peer wait while a message is held back, where it is bounded', async () => {
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    open({ onMessage: (frames) => (received.push(frames), held) });
    const piece = encodeMessage([Buffer.alloc(32 * 1024)]);
    let taken = 0;
    let isWaiting = false;
    await serve((socket) => {
      socket.write(hello);
      const write = (): void => {
        while (taken < 1000 && socket.write(piece)) taken++;
        isWaiting = taken < 1000;
      };
      socket.on('drain', () => ((isWaiting = false), write()));
      write();
    });
    await until(() => received.length === 1, 'the first is here');
    await until(() => isWaiting, 'the peer waits');
    expect(received).toHaveLength(1);
    letGo();
    await until(() => received.length >= 1000, 'all have come');
  });

  it('takes all that a peer sends while a message is held back, where it is not bounded', async () => {
    const handled: number[] = [];
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    open({
      bounded: false,
      onMessage: ([frame]) => (handled.push(frame![0]!), handled.length === 1 ? held : undefined),
    });
    const written = new Promise<void>((resolve) => {
      void serve((socket) => {
        const messages = Array.from({ length: 200 }, (_, index) => encodeMessage([Buffer.alloc(64 * 1024, index)]));
        socket.write(Buffer.concat([hello, ...messages]), () => resolve());
      });
    });
    await written; // 12 MB, of which no socket's buffer holds a tenth
    expect(handled).toEqual([0]);
    letGo();
    await until(() => handled.length === 200, 'all were handled');
    expect(handled).toEqual(Array.from({ length: 200 }, (_, index) => index));
  });

  it.each([1, 2, 3, 63, 64, 65, 1000])('puts messages together that come in pieces of %d bytes', async (size) => {
    const messages = [0, 1, 255, 256, 3000].map((bytes) => [randomBytes(bytes), randomBytes(2)]);
    const bytes = Buffer.concat([hello, ...messages.map((message) => encodeMessage(message))]);
    await serve((socket) => {
      socket.setNoDelay(true);
      for (let at = 0; at < bytes.length; at += size) socket.write(bytes.subarray(at, at + size));
    });
    open();
    await until(() => received.length === messages.length, 'all have come');
    expect(received).toEqual(messages);
  });

  it('takes no more memory for a frame than what came of it, whatever its header claims', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const header = Buffer.alloc(9);
    header[0] = 0x02;
    header.writeBigUInt64BE(100n * 1024n * 1024n, 1);
    let told = false;
    await serve((socket) => socket.write(Buffer.concat([hello, header, Buffer.alloc(100_000)]), () => (told = true)));
    open();
    await until(() => told, 'it is on its way');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * 1024);
    expect(faults).toEqual([]);
  });

  it('says that a message was too much, and goes on with the next', async () => {
    const many = encodeMessage(Array.from({ length: 5000 }, () => Buffer.from('x')));
    await serve((socket) => socket.write(Buffer.concat([hello, many, encodeMessage([Buffer.from('next')])])));
    open();
    await until(() => received.length === 1, 'the next is here');
    expect(String(received[0])).toBe('next');
    expect(faults).toEqual([expect.stringContaining('4096 frames')]);
  });

  it.each([
    ['something else', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'.padEnd(64)), 'does not speak ZMTP'],
    ['an older version', Buffer.from(encodeGreeting().map((byte, at) => (at === 10 ? 1 : byte))), 'ZMTP 1'],
    [
      'in endless commands',
      Buffer.concat([encodeGreeting(), Buffer.from('0600000001000000', 'hex'), Buffer.alloc(9)]),
      'a command of',
    ],
    ['READY again', Buffer.concat([hello, encodeReady('DEALER', '')]), 'a second command'],
    ['something in place of READY', Buffer.concat([encodeGreeting(), Buffer.from('040155', 'hex')]), 'not say READY'],
    ['a mechanism', Buffer.from(encodeGreeting().map((byte, at) => (at === 12 ? 0x58 : byte))), 'mechanism XULL'],
  ])('says that a peer speaks %s', async (_name, greeting, words) => {
    await serve((socket) => socket.write(greeting));
    open();
    await until(() => faults.length > 0, 'the fault is told');
    expect(faults[0]).toContain(words);
  });

  it('leaves a peer whose messages are none after some of them, and tells of no more', async () => {
    let connections = 0;
    await serve((socket) => {
      connections++;
      socket.write(Buffer.concat([hello, ...Array.from({ length: 1000 }, () => encodeMessage([Buffer.from('x')]))]));
    });
    open({
      onMessage: () => {
        throw new Error('no message');
      },
    });
    await until(() => faults.length > 0, 'the first is told');
    expect(faults).toEqual(Array.from({ length: 17 }, () => 'no message'));
    expect(connections).toBe(1);
  });

  it('is silent after its end, whether or not it ever reached its peer', async () => {
    const never = open();
    never.close();
    await serve((socket) => socket.write(Buffer.concat([hello, encodeMessage([Buffer.from('late')])])));
    const socket = open();
    await socket.connected;
    socket.close();
    socket.send([Buffer.from('x')]);
    const probe = connect(path); // the server turns once more
    await once(probe, 'data');
    probe.destroy();
    expect(faults).toEqual([]);
  });
});
