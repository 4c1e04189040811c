import { DownloadResponse } from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import { readDownloadPart } from './download-parts.js';

const encode = (data: Buffer) => DownloadResponse.encode({ part: { $case: 'data', value: data } }).finish();

describe('readDownloadPart', () => {
  it.each([0, 1, 127, 128, 16_383, 16_384, 262_144])('gives %i bytes as a view on the message', (size) => {
    const message = encode(Buffer.alloc(size, 7));
    const part = readDownloadPart(message);
    const data = part && 'data' in part ? part.data : undefined;
    expect(data?.length).toBe(size);
    expect(data?.buffer).toBe(message.buffer);
  });

  it('reads an info, and what else a message may hold', () => {
    const info = DownloadResponse.fromJSON({ info: { name: 'f', sizeBytes: 5 } });
    expect(readDownloadPart(DownloadResponse.encode(info).finish())).toMatchObject({
      info: { name: 'f', sizeBytes: 5 },
    });
    expect(readDownloadPart(new Uint8Array())).toBeUndefined();
    // Two data fields in one message: the last one counts, as protobuf has it.
    const twice = Buffer.concat([encode(Buffer.from('a')), encode(Buffer.from('bc'))]);
    expect(readDownloadPart(twice)).toEqual({ data: Buffer.from('bc') });
  });
});
