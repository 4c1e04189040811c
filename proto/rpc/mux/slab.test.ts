import { random } from '../testing/random.js';
import { FrameReader, withLength } from './frame-reader.js';
import { Slab } from './slab.js';

const frameOf = (index: number, length: number) => Buffer.alloc(length, `${index}.`);

/** Takes a stream as a socket does that reads into a slab, so many bytes at a time. */
function readThroughSlab(stream: Buffer, bytesOfRead: (room: number) => number): { frames: Buffer[]; slab: Slab } {
  const slab = new Slab();
  const reader = new FrameReader();
  const frames: Buffer[] = [];
  for (let at = 0; at < stream.length;) {
    const room = slab.room();
    const length = stream.copy(room, 0, at, at + Math.max(1, Math.min(room.length, bytesOfRead(room.length))));
    at += length;
    reader.push(slab.taken(length));
    for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
    slab.settle(reader);
  }
  return { frames, slab };
}

describe('a slab and the reader of its frames', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'gives every frame unchanged however the reads fell, and as long as it is held (%i)',
    (seed) => {
      const below = random(seed);
      const lengths = Array.from({ length: 300 }, () => below([40, 3000, 70_000, 140_000][below(4)]!));
      const sent = lengths.map((length, index) => frameOf(index, length));
      const stream = Buffer.concat(sent.map((frame) => withLength(frame)));
      const reads = [(room: number) => below(room + 1), () => 1 + below(5000), (room: number) => room];
      const { frames } = readThroughSlab(stream, reads[seed % reads.length]!);
      expect(frames.length).toBe(sent.length);
      expect(frames.findIndex((frame, index) => !frame.equals(sent[index]!))).toBe(-1);
    },
  );

  it('copies small frames, and reads into the same few bytes again', () => {
    const sent = Array.from({ length: 5000 }, (_, index) => frameOf(index, 100));
    const { frames, slab } = readThroughSlab(Buffer.concat(sent.map((frame) => withLength(frame))), () => 104);
    expect(frames.findIndex((frame, index) => !frame.equals(sent[index]!))).toBe(-1);
    expect(slab.room().byteOffset).toBe(0);
  });

  it('looks at large frames where they lie', () => {
    const { frames, slab } = readThroughSlab(withLength(frameOf(1, 60_000)), () => 7000);
    expect(frames[0]!.buffer).toBe(slab.room().buffer);
  });
});
