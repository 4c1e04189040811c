import { Frame } from '../../gen/shipyard/mux/v1/mux.js';
import {
  decodeFrame,
  encodeAnswer,
  encodeData,
  encodeFrame,
  encodeOpen,
  MAX_CALL_ID,
  MAX_DATA_BYTES,
  MAX_INLINE_BYTES,
  toBuffer,
  type FrameBody,
} from './frame.js';

describe('encodeData and decodeFrame', () => {
  const sizes = [0, 1, 121, 122, 123, 127, 128, 16_383, 16_384, MAX_DATA_BYTES];
  const cases = [1, 127, 128, 70_000, MAX_CALL_ID].flatMap((callId) =>
    sizes.flatMap((size) => [false, true].map((more) => ({ callId, size, more }))),
  );

  it.each(cases)('write and read what ts-proto does: $callId, $size bytes, more $more', ({ callId, size, more }) => {
    const bytes = Buffer.alloc(size, 'abc');
    const encoded = toBuffer(encodeData(callId, bytes, 0, size, more));
    expect(Frame.decode(encoded)).toEqual({ callId, body: { $case: 'data', value: { bytes, more } } });
    expect(decodeFrame(encodeFrame(callId, { $case: 'data', value: { bytes, more } }))).toEqual(Frame.decode(encoded));
    expect(decodeFrame(encoded)).toEqual({ callId, body: { $case: 'data', value: { bytes, more } } });
  });

  it('send a part of a message', () => {
    const frame = decodeFrame(toBuffer(encodeData(5, Buffer.from('0123456789'), 3, 6, true)));
    expect(frame.body).toEqual({ $case: 'data', value: { bytes: Buffer.from('345'), more: true } });
  });

  it('look at the bytes that arrived, without copying them', () => {
    const encoded = toBuffer(encodeData(1, Buffer.from('hello'), 0, 5, false));
    const { body } = decodeFrame(encoded);
    if (body?.$case !== 'data') throw new Error('not data');
    expect(body.value.bytes.buffer).toBe(encoded.buffer);
  });

  it('read a Data frame whose fields come in another order', () => {
    const encoded = Buffer.from([0x22, 5, 0x10, 1, 0x0a, 1, 0x78, 0x08, 9]);
    expect(decodeFrame(encoded)).toEqual(Frame.decode(encoded));
    expect(decodeFrame(encoded).callId).toBe(9);
  });

  it.each([
    ['that ends in the middle', [0x08, 1, 0x22, 40, 0x0a, 38, 0x78]],
    ['with an endless number', [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['whose inner length is too long', [0x08, 1, 0x22, 3, 0x0a, 9, 0x78]],
  ])('refuse a frame %s', (_what, bytes) => {
    expect(() => decodeFrame(Buffer.from(bytes))).toThrow();
  });
});

describe('encodeOpen, encodeAnswer and decodeFrame', () => {
  const callIds = [1, 127, 128, 70_000, MAX_CALL_ID];
  const messages = [undefined, ...[0, 1, 60, 127, 128, MAX_INLINE_BYTES].map((size) => Buffer.alloc(size, 'abc'))];
  const methods = ['/probe.ProbeService/Echo', `/${'long.'.repeat(40)}Service/Echo`, '/größe.Dienst/Öffne', ''];

  it.each(callIds)('write and read what ts-proto does: call %d', (callId) => {
    for (const message of messages) {
      const close = { code: 0, message: '', statusDetails: Buffer.alloc(0), trailers: {}, response: message };
      expectSame(callId, { $case: 'close', value: close }, encodeAnswer(callId, message));
      for (const method of methods) {
        for (const timeoutMs of [0, 1, 127, 128, 60_000, 2 ** 31 - 1]) {
          const open = { method, metadata: {}, timeoutMs, request: message };
          expectSame(callId, { $case: 'open', value: open }, encodeOpen(callId, method, timeoutMs, message));
        }
      }
    }
  });

  function expectSame(callId: number, body: FrameBody, written: Buffer): void {
    expect(Frame.decode(written)).toEqual({ callId, body });
    expect(decodeFrame(written)).toEqual({ callId, body });
    expect(decodeFrame(encodeFrame(callId, body))).toEqual({ callId, body });
  }

  it.each<FrameBody>([
    {
      $case: 'open',
      value: { method: '/a/B', metadata: { authorization: 'Bearer x' }, timeoutMs: 5, request: undefined },
    },
    { $case: 'open', value: { method: '/a/B', metadata: {}, timeoutMs: 2 ** 45, request: Buffer.from('x') } },
    { $case: 'open', value: { method: '/a/B', metadata: {}, timeoutMs: -1, request: undefined } },
    {
      $case: 'close',
      value: { code: 5, message: 'x', statusDetails: Buffer.from('d'), trailers: { a: 'b' }, response: undefined },
    },
  ])('leave to ts-proto what they do not write', (body) => {
    expect(decodeFrame(encodeFrame(3, body))).toEqual({ callId: 3, body });
  });

  it.each([
    ['an Open that ends in its method', [0x08, 1, 0x1a, 3, 0x0a, 9, 0x2f]],
    ['an Open whose request is too long', [0x08, 1, 0x1a, 7, 0x0a, 2, 0x2f, 0x61, 0x22, 9, 0x78]],
    ['a Close whose answer is too long', [0x08, 1, 0x42, 3, 0x2a, 9, 0x78]],
  ])('refuse %s', (_what, bytes) => {
    expect(() => decodeFrame(Buffer.from(bytes))).toThrow();
  });

  it('read a call id beyond 32 bits as ts-proto does', () => {
    const frame = Buffer.from('08ffffffff1f4200', 'hex');
    expect(decodeFrame(frame)).toEqual(Frame.decode(frame));
  });

  it('read numbers that are longer than they need be', () => {
    expect(decodeFrame(Buffer.from([0x08, 0x81, 0x00, 0x42, 3, 0x2a, 1, 0x78]))).toEqual(
      decodeFrame(Buffer.from([0x08, 0x01, 0x42, 3, 0x2a, 1, 0x78])),
    );
  });
});
