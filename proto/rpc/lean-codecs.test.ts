import { UploadRequest, UploadResponse } from '../gen/shipyard/execution/v1/file_service.js';
import { codecOf } from './lean-codecs.js';

describe('the codec of uploads', () => {
  const codec = codecOf(UploadRequest);
  const header = { shipId: 's', sessionId: 't', path: 'p', mode: 0o600, sizeBytes: 7 };

  it.each([0, 1, 127, 128, 16_383, 16_384, 262_144])('writes and reads %d bytes as ts-proto does', (size) => {
    const message: UploadRequest = { part: { $case: 'data', value: Buffer.alloc(size, 'é') } };
    const bytes = Buffer.from(UploadRequest.encode(message).finish());
    expect(Buffer.from(codec.encode(message).finish()).equals(bytes)).toBe(true);
    expect(codec.decode(bytes)).toEqual(message);
  });

  it('hands out a view of what arrived', () => {
    const bytes = codec.encode({ part: { $case: 'data', value: Buffer.from('abc') } }).finish();
    const { part } = codec.decode(bytes) as { part: { value: Buffer } };
    bytes.set(Buffer.from('x'), bytes.length - 1);
    expect(part.value.toString()).toBe('abx');
  });

  it.each([
    ['a header', Buffer.from(UploadRequest.encode({ part: { $case: 'header', value: header } }).finish())],
    ['nothing', Buffer.alloc(0)],
    ['data in two fields, of which the last counts', Buffer.from([0x12, 1, 0x61, 0x12, 1, 0x62])],
    ['data and something of a later version', Buffer.from([0x12, 1, 0x61, 0x78, 1])],
    ['a length in more bytes than it needs', Buffer.from([0x12, 0x81, 0x80, 0x80, 0x80, 0x00, 0x61])],
  ])('leaves to ts-proto: %s', (_what, bytes) => {
    expect(codec.decode(bytes)).toEqual(UploadRequest.decode(bytes));
  });

  it('fails where ts-proto fails', () => {
    for (const bytes of [Buffer.from([0x12]), Buffer.from([0x12, 5, 0x61])]) {
      expect(() => codec.decode(bytes)).toThrow();
    }
  });

  it('is nobody else’s', () => {
    expect(codecOf(UploadResponse)).toBe(UploadResponse);
  });
});
