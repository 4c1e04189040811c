import { Frame } from '../../gen/shipyard/mux/v1/mux.js';
import { decodeFrame, encodeData, encodeFrame, MAX_CALL_ID, MAX_DATA_BYTES, toBuffer } from './frame.js';

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
