/**
 * The same stream; once its last event is there, its own end is waited for only so long. It comes with that event, but for a
 * ship that stands still in between. Leaving the stream at once would send the ship a cancel for a call that is over.
 */
export function endWithin<T>(stream: AsyncIterable<T>, ms: number, isLastThere: () => boolean): AsyncIterable<T> {
  const source = stream[Symbol.asyncIterator]();
  const iterator: AsyncIterator<T> = {
    next: () => (isLastThere() ? endOf(source, ms) : source.next()),
    return: async () => {
      await source.return?.();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

async function endOf<T>(source: AsyncIterator<T>, ms: number): Promise<IteratorResult<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, ms, undefined)));
  const result = await Promise.race([source.next(), late]).finally(() => clearTimeout(timer));
  if (result) return result;
  await source.return?.();
  return { done: true, value: undefined };
}
