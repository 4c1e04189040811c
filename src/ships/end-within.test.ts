import { endWithin } from './end-within.js';

/** A stream of two events that ends as the test says. */
class TestStream implements AsyncIterable<number> {
  left = 0;
  #sent = 0;

  constructor(private readonly end: () => Promise<IteratorResult<number>>) {}

  [Symbol.asyncIterator](): AsyncIterator<number> {
    return {
      next: async () => (this.#sent < 2 ? { done: false, value: ++this.#sent } : this.end()),
      return: async () => {
        this.left++;
        return { done: true, value: undefined };
      },
    };
  }
}

describe('endWithin', () => {
  const read = async (stream: TestStream, until = 2) => {
    const seen: number[] = [];
    for await (const event of endWithin(stream, 20, () => seen.includes(2))) {
      seen.push(event);
      if (event === until && until < 2) break;
    }
    return seen;
  };
  const done = { done: true, value: undefined } as const;

  it('lets a stream end by itself, and fail', async () => {
    const stream = new TestStream(async () => done);
    expect([await read(stream), stream.left]).toEqual([[1, 2], 0]);
    const failing = new TestStream(() => Promise.reject(new Error('broken')));
    await expect(read(failing)).rejects.toThrow('broken');
  });

  it('leaves one whose end does not come behind its last event', async () => {
    const stream = new TestStream(() => new Promise(() => undefined));
    expect([await read(stream), stream.left]).toEqual([[1, 2], 1]);
  });

  it('is left as the stream itself is', async () => {
    const stream = new TestStream(async () => done);
    expect([await read(stream, 1), stream.left]).toEqual([[1], 1]);
  });
});
