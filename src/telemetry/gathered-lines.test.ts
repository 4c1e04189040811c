import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { GatheredLines } from './gathered-lines.js';

describe('lines on their way to a stream', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function makeLines() {
    const writes: string[] = [];
    return { writes, lines: new GatheredLines({ write: (text: string) => writes.push(text) }) };
  }

  it('are written at once', () => {
    const { writes, lines } = makeLines();
    lines.write('a\n');
    lines.write('b\n');
    expect(writes).toEqual(['a\n', 'b\n']);
  });

  it('wait for others where they may, for a moment', () => {
    const { writes, lines } = makeLines();
    lines.gather('a\n');
    lines.gather('b\n');
    expect(writes).toEqual([]);
    jest.advanceTimersByTime(20);
    expect(writes).toEqual(['a\nb\n']);
    jest.advanceTimersByTime(100);
    expect(writes).toHaveLength(1);
  });

  it('keep their order: one that may not wait takes along those that do', () => {
    const { writes, lines } = makeLines();
    lines.gather('a\n');
    lines.write('b\n');
    expect(writes).toEqual(['a\nb\n']);
    jest.advanceTimersByTime(100);
    expect(writes).toHaveLength(1);
  });

  it('wait in no more than 16 KiB', () => {
    const { writes, lines } = makeLines();
    const line = `${'x'.repeat(255)}\n`;
    for (let i = 0; i < 65; i++) lines.gather(line);
    expect(writes).toEqual([line.repeat(64)]);
  });
});
