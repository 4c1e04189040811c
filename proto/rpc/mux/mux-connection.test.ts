/** The rules of the protocol, against a peer whose every frame the test writes and reads. */
import { Frame } from '../../gen/shipyard/mux/v1/mux.js';
import { createClient } from '../client.js';
import type { Client } from '../definition.js';
import { isLinkLost } from '../link-lost.js';
import { createRouter, type Router } from '../router.js';
import type { StatusError } from '../status-error.js';
import { memoryLinks, type MemoryLink } from '../testing/memory-link.js';
import { data, NOTHING, Probe, ProbeDefinition, settled, until } from '../testing/probe-service.js';
import {
  encodeFrame,
  INITIAL_CREDIT_BYTES,
  MAX_DATA_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_OPEN_CALLS,
  type FrameBody,
} from './frame.js';
import { MuxConnection, type MuxConnectionOptions } from './mux-connection.js';

type Case = FrameBody['$case'];
type Body<C extends Case> = Extract<FrameBody, { $case: C }>['value'];

/** The other end, by hand. */
class Peer {
  readonly frames: Frame[] = [];
  closed = false;

  constructor(readonly link: MemoryLink) {
    link.start({
      received: (frame) => this.frames.push(Frame.decode(frame)),
      drained: () => undefined,
      closed: () => (this.closed = true),
    });
  }

  send<C extends Case>(callId: number, $case: C, value: Body<C>): void {
    this.link.write(encodeFrame(callId, { $case, value } as FrameBody));
  }

  hello(features: string[] = [], generation = 1, minGeneration = 1): void {
    const agentVersion = 'by hand';
    this.send(0, 'hello', { generation, minGeneration, shipId: '', incarnation: 0, agentVersion, features });
  }

  open(callId: number, method: string, metadata: Record<string, string> = {}, timeoutMs = 0): void {
    this.send(callId, 'open', { method: `/probe.ProbeService/${method}`, metadata, timeoutMs });
  }

  data(callId: number, bytes: Buffer, more = false): void {
    this.send(callId, 'data', { bytes, more });
  }

  call(callId: number, method: string, message: Buffer): void {
    this.open(callId, method);
    this.data(callId, message);
  }

  of<C extends Case>($case: C, callId?: number): Body<C>[] {
    return this.frames
      .filter((frame) => frame.body?.$case === $case && (callId === undefined || frame.callId === callId))
      .map((frame) => frame.body?.value as Body<C>);
  }

  bytesOf(callId: number): number {
    return this.of('data', callId).reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  async closeOf(callId: number): Promise<Body<'close'>> {
    await until(() => this.of('close', callId).length > 0, `call ${callId} is closed`);
    return this.of('close', callId)[0] as Body<'close'>;
  }
}

const { echo, count, pour, hang, sum } = ProbeDefinition.methods;
const encoded = {
  echo: (size: number) =>
    Buffer.from(echo.requestType.encode({ bytes: Buffer.alloc(size, 'x'), more: false }).finish()),
  count: (bytes: number) => Buffer.from(count.requestType.encode({ bytes }).finish()),
  pour: (bytes: number) => Buffer.from(pour.requestType.encode({ bytes }).finish()),
  nothing: Buffer.from(hang.requestType.encode(NOTHING).finish()),
};

describe('MuxConnection', () => {
  let probe: Probe;
  let router: Router;
  let connection: MuxConnection;
  let near: MemoryLink;
  let peer: Peer;
  let client: Client<typeof ProbeDefinition>;

  function connect(options: Partial<MuxConnectionOptions> = {}): void {
    const [one, other] = memoryLinks();
    near = one;
    peer = new Peer(other);
    connection = new MuxConnection(one, { role: 'acceptor', peer: 'test', router, ...options });
    client = createClient(ProbeDefinition, connection);
  }

  beforeEach(() => {
    probe = new Probe();
    router = createRouter({ services: [[ProbeDefinition, probe]] });
    connect();
  });

  afterEach(() => connection.close());

  describe('Hello', () => {
    it('is the first frame, with what this side says of itself', async () => {
      connect({ hello: { shipId: 'ship-1', incarnation: 7, agentVersion: '1.0.0', features: ['blue'] } });
      peer.hello();
      const hello = await connection.ready;
      expect(hello.agentVersion).toBe('by hand');
      await until(() => peer.frames.length > 0, 'Hello came');
      expect(peer.frames[0]?.body).toMatchObject({
        $case: 'hello',
        value: { generation: 1, minGeneration: 1, shipId: 'ship-1', incarnation: 7, agentVersion: '1.0.0' },
      });
      expect(peer.of('hello')[0]?.features).toContain('blue');
    });

    it.each([
      ['newer', 9, 2],
      ['older', 0, 0],
    ])('of a peer that is too much %s ends the connection', async (_what, generation, minGeneration) => {
      peer.hello([], generation, minGeneration);
      await expect(connection.ready).rejects.toMatchObject({ reason: 'PROTOCOL_UNSUPPORTED' });
      expect(near.destroyed?.reason).toBe('PROTOCOL_UNSUPPORTED');
    });

    it('of a newer peer that still understands us is taken', async () => {
      peer.hello([], 2, 1);
      await expect(connection.ready).resolves.toMatchObject({ generation: 2 });
    });

    it('must come first, and once', async () => {
      peer.send(0, 'ping', { id: 1 });
      expect(await connection.closed).toMatchObject({ reason: 'INVALID_ARGUMENT' });
      connect();
      peer.hello();
      peer.hello();
      expect(await connection.closed).toMatchObject({ reason: 'INVALID_ARGUMENT' });
    });
  });

  describe('serving', () => {
    beforeEach(() => peer.hello());

    it('answers with Data and Close, and uses no inline answer that the peer did not ask for', async () => {
      peer.call(1, 'Echo', encoded.echo(3));
      const close = await peer.closeOf(1);
      expect(close).toMatchObject({ code: 0, response: undefined });
      expect(peer.of('data', 1)).toHaveLength(1);
      expect(connection.openCalls).toBe(0);
    });

    it('takes a request with Open, and gives the answer with Close, where the peer can', async () => {
      connect();
      peer.hello(['inline']);
      peer.send(1, 'open', {
        method: '/probe.ProbeService/Echo',
        metadata: {},
        timeoutMs: 0,
        request: encoded.echo(5),
      });
      const close = await peer.closeOf(1);
      expect(close.response?.equals(encoded.echo(5))).toBe(true);
      expect(peer.of('data')).toEqual([]);
    });

    it('sends 256 KiB, and then exactly what it is granted', async () => {
      peer.call(1, 'Pour', encoded.pour(10_000));
      await until(() => peer.bytesOf(1) >= INITIAL_CREDIT_BYTES, 'the credit is used');
      expect(await settled(() => peer.bytesOf(1))).toBe(INITIAL_CREDIT_BYTES);
      expect(probe.poured).toBeLessThanOrEqual(INITIAL_CREDIT_BYTES + 2 * 10_000);
      peer.send(1, 'credit', { bytes: 100 });
      await until(() => peer.bytesOf(1) > INITIAL_CREDIT_BYTES, 'more came');
      expect(await settled(() => peer.bytesOf(1))).toBe(INITIAL_CREDIT_BYTES + 100);
      expect(Math.max(...peer.of('data').map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(MAX_DATA_BYTES);
    });

    it('splits a long message into pieces of 64 KiB that follow each other', async () => {
      peer.call(1, 'Echo', encoded.echo(60_000));
      peer.open(3, 'Echo');
      const message = encoded.echo(200_000);
      for (let at = 0; at < message.length; at += MAX_DATA_BYTES) {
        peer.data(3, message.subarray(at, at + MAX_DATA_BYTES), at + MAX_DATA_BYTES < message.length);
      }
      await peer.closeOf(3);
      const pieces = peer.of('data', 3);
      expect(pieces.map(({ more }) => more)).toEqual([true, true, true, false]);
      expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).equals(message)).toBe(true);
    });

    it('grants what the handler took, so that more than 256 KiB can come', async () => {
      peer.open(1, 'Sum');
      for (let i = 0; i < 5; i++) peer.data(1, encoded.echo(50_000));
      await until(() => peer.of('credit', 1).length > 0, 'credit was granted');
      expect(peer.of('credit', 1).reduce((all, { bytes }) => all + bytes, 0)).toBeLessThanOrEqual(5 * 50_100);
      peer.send(1, 'halfClose', {});
      await peer.closeOf(1);
      expect(sum.responseType.decode(peer.of('data', 1)[0]?.bytes as Buffer)).toEqual({ bytes: 250_000 });
    });

    it('grants nothing for what the handler does not take', async () => {
      peer.open(1, 'Stall');
      for (let i = 0; i < 5; i++) peer.data(1, encoded.echo(50_000));
      await until(() => probe.contexts.length === 1, 'the handler runs');
      peer.send(0, 'ping', { id: 9 });
      await until(() => peer.of('pong').length > 0, 'all was read');
      expect(peer.of('credit', 1)).toEqual([]);
    });

    it('closes the connection to a peer that exceeds its credit', async () => {
      peer.open(1, 'Stall');
      for (let i = 0; i < 6; i++) peer.data(1, encoded.echo(50_000));
      expect(await connection.closed).toMatchObject({ reason: 'TOO_LARGE' });
      await until(() => probe.contexts[0]?.signal.aborted === true, 'the handler was told');
    });

    it('closes the connection to a peer that sends too long a piece', async () => {
      peer.open(1, 'Sum');
      peer.data(1, Buffer.alloc(MAX_DATA_BYTES + 1));
      expect(await connection.closed).toMatchObject({ reason: 'TOO_LARGE' });
    });

    it('ends only the call whose message is longer than 16 MiB', async () => {
      peer.open(1, 'Echo');
      const piece = Buffer.alloc(MAX_DATA_BYTES);
      let granted = INITIAL_CREDIT_BYTES;
      for (let sent = 0; sent <= MAX_MESSAGE_BYTES; sent += piece.length) {
        await until(() => granted + peer.of('credit', 1).reduce((all, { bytes }) => all + bytes, 0) > sent, 'credit');
        peer.data(1, piece, true);
      }
      granted = 0;
      expect(await peer.closeOf(1)).toMatchObject({ code: 8 });
      peer.call(3, 'Echo', encoded.echo(1));
      expect(await peer.closeOf(3)).toMatchObject({ code: 0 });
    });

    it('ends a call whose message comes in too many pieces, of which empty ones cost nothing', async () => {
      peer.open(1, 'Echo');
      for (let i = 0; i < 20_000; i++) peer.data(1, Buffer.alloc(0), true);
      peer.data(1, encoded.echo(1));
      expect(await peer.closeOf(1)).toMatchObject({ code: 0 });
      peer.open(3, 'Echo');
      for (let i = 0; i <= MAX_MESSAGE_BYTES / 1024; i++) peer.data(3, Buffer.from('x'), true);
      expect(await peer.closeOf(3)).toMatchObject({ code: 8 });
    });

    it('gathers a few long messages at a time, and every one in the end', async () => {
      const message = encoded.echo(1_000_000);
      const calls = [1, 3, 5, 7, 9, 11];
      const sent = new Map(calls.map((callId) => [callId, 0]));
      const granted = (callId: number): number =>
        peer.of('credit', callId).reduce((all, { bytes }) => all + bytes, INITIAL_CREDIT_BYTES);
      const feed = (callId: number): void => {
        for (let from = sent.get(callId) ?? 0; from < message.length && granted(callId) >= from + MAX_DATA_BYTES;) {
          const to = from + MAX_DATA_BYTES;
          peer.data(callId, message.subarray(from, to), to < message.length);
          sent.set(callId, (from = to));
        }
      };
      for (const callId of calls) {
        peer.open(callId, 'Echo');
        feed(callId);
      }
      await settled(() => peer.of('credit').length);
      expect(calls.filter((callId) => granted(callId) > INITIAL_CREDIT_BYTES)).toEqual([1, 3, 5, 7]);
      await until(() => {
        calls.forEach(feed);
        return calls.every((callId) => (sent.get(callId) ?? 0) >= message.length);
      }, 'all were taken');
      await until(() => probe.contexts.length === calls.length, 'all were served');
    });

    it('sends one frame of each call in turn, and what is no Data before all Data', async () => {
      near.peer.highWater = 1; // every write waits
      near.highWater = 1;
      for (const callId of [1, 3, 5]) peer.call(callId, 'Pour', encoded.pour(40_000));
      await until(() => [1, 3, 5].every((callId) => peer.bytesOf(callId) >= 200_000), 'all three send');
      const order = peer.frames.filter(({ body }) => body?.$case === 'data').map(({ callId }) => callId);
      for (let at = 3; at < 12; at += 3) expect(new Set(order.slice(at, at + 3))).toEqual(new Set([1, 3, 5]));
    });

    it('sends nothing but what was under way while the link says to wait, and control frames first after it', async () => {
      near.highWater = 4;
      peer.link.paused = true;
      peer.call(1, 'Pour', encoded.pour(1000));
      await until(() => probe.poured > 0, 'it flows');
      const before = await settled(() => probe.poured);
      expect(before).toBeLessThan(200_000);
      peer.send(0, 'ping', { id: 77 });
      await settled(() => probe.poured);
      const read = peer.frames.length;
      peer.link.resume();
      await until(() => peer.of('pong').length > 0, 'the answer came');
      const later = peer.frames.slice(read).map(({ body }) => body?.$case);
      expect(later.indexOf('pong')).toBeLessThanOrEqual(5);
    });

    it('answers Cancel by one Close and aborts the handler', async () => {
      peer.call(1, 'Hang', encoded.nothing);
      await until(() => probe.contexts.length === 1, 'the handler runs');
      peer.send(1, 'cancel', {});
      expect(await peer.closeOf(1)).toMatchObject({ code: 1 });
      expect(probe.contexts[0]?.signal.reason).toMatchObject({ reason: 'CANCELLED' });
      peer.send(1, 'cancel', {});
      peer.data(1, Buffer.from('late'));
      peer.send(1, 'credit', { bytes: 5 });
      peer.send(1, 'halfClose', {});
      peer.send(0, 'ping', { id: 1 });
      await until(() => peer.of('pong').length > 0, 'the connection lives');
      expect(peer.of('close', 1)).toHaveLength(1);
    });

    it('cancels a call whose only message has not come yet', async () => {
      peer.open(1, 'Echo');
      peer.send(1, 'cancel', {});
      expect(await peer.closeOf(1)).toMatchObject({ code: 1 });
      await router.idle();
    });

    it('refuses a call that ends before its only message', async () => {
      peer.open(1, 'Echo');
      peer.send(1, 'halfClose', {});
      expect(await peer.closeOf(1)).toMatchObject({ code: 3 });
      await router.idle();
    });

    it('counts the deadline from Open', async () => {
      peer.open(1, 'Echo', {}, 30);
      expect(await peer.closeOf(1)).toMatchObject({ code: 4 });
      await router.idle();
    });

    it('refuses a message that is none', async () => {
      peer.call(1, 'Echo', Buffer.from([0x0a, 0x7f, 1]));
      expect(await peer.closeOf(1)).toMatchObject({ code: 3 });
      peer.open(3, 'Sum');
      peer.data(3, Buffer.from([0x0a, 0x7f, 1]));
      expect(await peer.closeOf(3)).toMatchObject({ code: 3 });
    });

    it('does not know other methods', async () => {
      peer.open(1, 'Nothing');
      expect(await peer.closeOf(1)).toMatchObject({ code: 12, message: 'unknown method: /probe.ProbeService/Nothing' });
    });

    it('takes at most 1,024 calls, and counts handlers that a cancel has not stopped yet', async () => {
      for (let i = 0; i < MAX_OPEN_CALLS; i++) peer.call(2 * i + 1, 'Hang', encoded.nothing);
      const next = 2 * MAX_OPEN_CALLS + 1;
      peer.call(next, 'Echo', encoded.echo(1));
      expect(await peer.closeOf(next)).toMatchObject({ code: 8 });
      peer.send(1, 'cancel', {});
      await peer.closeOf(1);
      await until(() => router.openCalls < MAX_OPEN_CALLS, 'a handler stopped');
      peer.call(next + 2, 'Echo', encoded.echo(1));
      expect(await peer.closeOf(next + 2)).toMatchObject({ code: 0 });
    });

    it.each([
      ['an id that was used before', () => (peer.call(5, 'Echo', encoded.echo(1)), peer.open(5, 'Echo'))],
      ['an id below one that was used', () => (peer.call(5, 'Echo', encoded.echo(1)), peer.open(3, 'Echo'))],
      ["an id of this side's", () => peer.open(2, 'Echo')],
      ['the id 0', () => peer.open(0, 'Echo')],
      ['a frame for a call that was never opened', () => peer.data(9, Buffer.from('x'))],
      ["a Close for this side's next call", () => peer.send(2, 'credit', { bytes: 1 })],
      ['bytes that are no frame', () => peer.link.write(Buffer.from([0x0a, 0x7f, 0x01]))],
      ['a frame of more than 1 MiB', () => peer.open(1, 'x'.repeat(1024 * 1024))],
    ])('closes the connection at %s', async (_what, act) => {
      act();
      await connection.closed;
      expect(near.destroyed).toBeDefined();
    });

    it('ignores kinds of frames that it does not know', async () => {
      peer.link.write(Buffer.from([0x08, 0x01, 0xfa, 0x01, 0x00]));
      peer.call(1, 'Echo', encoded.echo(1));
      expect(await peer.closeOf(1)).toMatchObject({ code: 0 });
    });

    it("gives calls the connection's authorization, where they bring none of their own", async () => {
      connect({ metadata: { authorization: 'Bearer of the connection' } });
      peer.hello();
      peer.call(1, 'Echo', encoded.echo(1));
      peer.open(3, 'Echo', { authorization: 'Bearer of the call' });
      peer.data(3, encoded.echo(1));
      peer.open(5, 'Echo', { 'x-trace': '1' });
      peer.data(5, encoded.echo(1));
      await peer.closeOf(5);
      expect(probe.contexts.map(({ metadata }) => metadata)).toEqual([
        { authorization: 'Bearer of the connection' },
        { authorization: 'Bearer of the call' },
        { authorization: 'Bearer of the connection', 'x-trace': '1' },
      ]);
    });

    it('closes the connection to a peer that asks without end and does not read', async () => {
      near.highWater = 1;
      peer.link.paused = true;
      for (let i = 0; i < 150_000; i++) peer.send(0, 'ping', { id: i });
      expect(await connection.closed).toMatchObject({ reason: 'TOO_MANY_CALLS' });
    });
  });

  describe('calling', () => {
    beforeEach(async () => {
      peer.hello();
      await connection.ready;
    });

    it('numbers its calls by its role, and sends Open, the message, and nothing more', async () => {
      const call = client.echo(data('a'), { metadata: { 'x-a': '1' }, timeoutMs: 5000 });
      await until(() => peer.of('data', 2).length > 0, 'the call arrived');
      expect(peer.frames.slice(1).map(({ body }) => body?.$case)).toEqual(['open', 'data']);
      expect(peer.of('open', 2)[0]).toMatchObject({
        method: '/probe.ProbeService/Echo',
        metadata: { 'x-a': '1' },
        timeoutMs: 5000,
      });
      peer.data(2, peer.of('data', 2)[0]?.bytes as Buffer);
      peer.send(2, 'close', { code: 0, message: '', statusDetails: Buffer.alloc(0), trailers: {} });
      expect(await call).toEqual(data('a'));
      const next = client.echo(data('b'));
      await until(() => peer.of('open', 4).length > 0, 'the next call has the next even number');
      connection.close();
      await expect(next).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
    });

    it('believes Close and not Data', async () => {
      const call = client.echo(data('a'));
      peer.data(2, encoded.echo(1));
      peer.send(2, 'close', { code: 5, message: 'gone', statusDetails: Buffer.alloc(0), trailers: {} });
      await expect(call).rejects.toMatchObject({ message: 'gone' });
      const empty = client.echo(data('a'));
      peer.send(4, 'close', { code: 0, message: '', statusDetails: Buffer.alloc(0), trailers: {} });
      await expect(empty).rejects.toMatchObject({ reason: 'INTERNAL' });
    });

    it('grants what its reader took, and nothing before', async () => {
      const stream = client.pour({ bytes: 1 })[Symbol.asyncIterator]();
      const first = stream.next();
      await until(() => peer.of('open', 2).length > 0, 'the call arrived');
      const message = encoded.echo(60_000);
      for (let i = 0; i < 4; i++) peer.data(2, message);
      await first;
      peer.send(0, 'ping', { id: 1 });
      await until(() => peer.of('pong').length > 0, 'all was read');
      expect(peer.of('credit', 2)).toEqual([]);
      for (let i = 0; i < 3; i++) await stream.next();
      await until(() => peer.of('credit', 2).length > 0, 'it granted');
      expect(peer.of('credit', 2).reduce((all, { bytes }) => all + bytes, 0)).toBeLessThanOrEqual(4 * message.length);
      await stream.return?.();
    });

    it('grants for the pieces of a message that its reader waits for, so that 16 MiB fit through 256 KiB', async () => {
      const call = client.echo(data('a'));
      const message = encoded.echo(1_000_000);
      for (let at = 0; at < message.length; at += MAX_DATA_BYTES) {
        const granted = (): number =>
          peer.of('credit', 2).reduce((all, { bytes }) => all + bytes, INITIAL_CREDIT_BYTES);
        await until(() => granted() >= at + MAX_DATA_BYTES, 'credit came');
        peer.data(2, message.subarray(at, at + MAX_DATA_BYTES), at + MAX_DATA_BYTES < message.length);
      }
      peer.send(2, 'close', { code: 0, message: '', statusDetails: Buffer.alloc(0), trailers: {} });
      expect((await call).bytes.length).toBe(1_000_000);
    });

    it('answers its caller at once when it cancels, and ignores what still comes', async () => {
      const controller = new AbortController();
      const call = client.echo(data('a'), { signal: controller.signal });
      await until(() => peer.of('open', 2).length > 0, 'the call arrived');
      controller.abort();
      await expect(call).rejects.toMatchObject({ reason: 'CANCELLED' });
      await until(() => peer.of('cancel', 2).length === 1, 'the peer was told');
      expect(connection.openCalls).toBe(1); // until the peer closes it
      peer.data(2, encoded.echo(1));
      peer.send(2, 'close', { code: 1, message: '', statusDetails: Buffer.alloc(0), trailers: {} });
      await until(() => connection.openCalls === 0, 'the peer closed it');
    });

    it('refuses a message of more than 16 MiB before it is sent', async () => {
      const big = { bytes: Buffer.alloc(MAX_MESSAGE_BYTES), more: true };
      await expect(client.echo(big)).rejects.toMatchObject({ reason: 'TOO_LARGE' });
      expect(peer.of('open')).toEqual([]);
    });

    it('refuses the 1,025th call', async () => {
      const calls = Array.from({ length: MAX_OPEN_CALLS }, () => client.hang(NOTHING));
      await expect(client.hang(NOTHING)).rejects.toMatchObject({ reason: 'TOO_MANY_CALLS' });
      connection.close();
      expect((await Promise.allSettled(calls)).every(({ status }) => status === 'rejected')).toBe(true);
    });

    it('fails its calls when the peer ends, aborts the handlers, and says that it was the link', async () => {
      peer.call(1, 'Hang', encoded.nothing);
      const unary = client.echo(data('a')).catch((error: StatusError) => error);
      const stream = client.count({ bytes: 1 })[Symbol.asyncIterator]().next();
      const streamed = stream.catch((error: StatusError) => error);
      await until(() => probe.contexts.length === 1, 'the handler runs');
      peer.link.end();
      const reason = await connection.closed;
      expect(await unary).toBe(reason);
      expect(await streamed).toBe(reason);
      expect(isLinkLost(reason)).toBe(true);
      expect(probe.contexts[0]?.signal.reason).toMatchObject({ reason: 'CANCELLED' });
      await expect(client.echo(data('a'))).rejects.toBe(reason);
      await router.idle();
    });
  });

  describe('liveness', () => {
    it('pings, and gives up a peer that is silent', async () => {
      connect({ pingIntervalMs: 15, deadAfterMs: 45 });
      peer.hello();
      await connection.ready;
      const call = client.echo(data('a')).catch((error: StatusError) => error);
      const reason = await connection.closed;
      expect(isLinkLost(reason)).toBe(true);
      expect(await call).toBe(reason);
      expect(peer.of('ping').length).toBeGreaterThanOrEqual(2);
    });

    it('keeps a peer that says anything at all', async () => {
      connect({ pingIntervalMs: 15, deadAfterMs: 45 });
      peer.hello();
      for (let i = 0; i < 10; i++) {
        await new Promise((resolve) => setTimeout(resolve, 15));
        peer.send(0, 'pong', { id: i });
      }
      expect(connection.isOpen).toBe(true);
    });
  });

  describe('GoAway', () => {
    beforeEach(() => peer.hello());

    it('lets open calls end, refuses new ones of both sides, and ends in good order', async () => {
      peer.call(1, 'Hang', encoded.nothing);
      await until(() => probe.contexts.length === 1, 'the handler runs');
      connection.goAway('restarting');
      await until(() => peer.of('goAway').length === 1, 'the peer heard');
      expect(peer.of('goAway')[0]).toEqual({ message: 'restarting' });
      peer.call(3, 'Echo', encoded.echo(1));
      expect(await peer.closeOf(3)).toMatchObject({ code: 14 });
      await expect(client.echo(data('a'))).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
      expect(near.ended).toBe(false);
      peer.send(1, 'cancel', {});
      await until(() => near.ended, 'it ended');
      await until(() => peer.closed, 'the peer saw the end');
      expect(peer.of('close', 1)).toHaveLength(1);
      expect(near.destroyed).toBeUndefined();
      peer.link.end();
      expect(await connection.closed).toMatchObject({ reason: 'SHUTTING_DOWN' });
    });

    it('of the peer refuses new calls with its words', async () => {
      peer.send(0, 'goAway', { message: 'bay is restarting' });
      await connection.ready;
      await expect(client.echo(data('a'))).rejects.toMatchObject({
        reason: 'SHUTTING_DOWN',
        message: 'bay is restarting',
      });
    });
  });
});
