import { StringDecoder } from 'node:string_decoder';
import type { Readable } from 'node:stream';

const HEADER_BYTES = 8;

/**
 * What a container wrote, as text, from the engine's frames: 8 bytes (which stream, three zeros, the length) before each
 * piece. Standard output and error come in the order in which the engine took them.
 */
export async function* textOfFrames(stream: Readable): AsyncGenerator<string, void, undefined> {
  const decoders = new Map<number, StringDecoder>();
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUInt32BE(4);
      if (rest.length < end) break;
      const source = rest.readUInt8(0);
      const decoder = decoders.get(source) ?? new StringDecoder('utf8');
      decoders.set(source, decoder);
      const text = decoder.write(rest.subarray(HEADER_BYTES, end));
      rest = rest.subarray(end);
      if (text !== '') yield text;
    }
  }
}
