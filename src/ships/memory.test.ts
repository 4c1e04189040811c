import { formatMemory, parseMemoryBytes } from './memory.js';

const MIB = 1024 ** 2;

describe('parseMemoryBytes', () => {
  it.each([
    ['536870912', 512 * MIB],
    ['65536k', 64 * MIB],
    ['65536KB', 64 * MIB],
    [' 512m ', 512 * MIB],
    ['512MB', 512 * MIB],
    ['2g', 2048 * MIB],
    ['2Gb', 2048 * MIB],
  ])('reads %j in powers of 1024', (text, bytes) => {
    expect(parseMemoryBytes(text)).toBe(bytes);
  });

  it.each([
    ['65536Ki', '64m'],
    ['512Mi', '512m'],
    ['2Gi', '2g'],
  ])('takes %j, as Kubernetes writes it, for %s', (text, same) => {
    expect(parseMemoryBytes(text)).toBe(parseMemoryBytes(same));
  });

  it.each(['', 'm', 'Mi', '1.5g', '-1m', '512 m', '512b', '512mi', '512MI', '512MiB', '1Ti', '31m', '1048577Gi'])(
    'refuses %j',
    (text) => {
      expect(parseMemoryBytes(text)).toBeUndefined();
    },
  );
});

it('formatMemory says it by the largest unit that is exact, so that it can be read again', () => {
  const texts = [512 * MIB, 2048 * MIB, 1536 * MIB, 64 * MIB + 1024, 64 * MIB + 1].map(formatMemory);
  expect(texts).toEqual(['512m', '2g', '1536m', '65537k', '67108865']);
  expect(texts.map((text) => formatMemory(parseMemoryBytes(text) ?? 0))).toEqual(texts);
});
