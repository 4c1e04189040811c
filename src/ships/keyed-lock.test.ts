import { describe, expect, it } from '@jest/globals';
import { KeyedLock } from './keyed-lock.js';

describe('KeyedLock', () => {
  it('runs one after another, in the order in which they came', async () => {
    const lock = new KeyedLock();
    const seen: number[] = [];
    await Promise.all(
      [1, 2, 3].map((n) =>
        lock.run('key', undefined, async () => {
          seen.push(n);
          await new Promise((resolve) => setImmediate(resolve));
          seen.push(n);
        }),
      ),
    );
    expect(seen).toEqual([1, 1, 2, 2, 3, 3]);
    expect(lock.busy('key')).toBe(false);
  });

  it('does not let one who gave up in line let the next one in too early', async () => {
    const lock = new KeyedLock();
    let release: () => void = () => undefined;
    const first = lock.run('key', undefined, () => new Promise<void>((resolve) => (release = resolve)));
    const leaving = new AbortController();
    const second = lock.run('key', leaving.signal, async () => undefined);
    let third = false;
    const last = lock.run('key', undefined, async () => {
      third = true;
    });
    leaving.abort(new Error('left'));
    await expect(second).rejects.toThrow('left');
    expect(third).toBe(false);
    release();
    await Promise.all([first, last]);
    expect(third).toBe(true);
  });

  it('goes on after a failure', async () => {
    const lock = new KeyedLock();
    await expect(lock.run('key', undefined, async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await lock.run('key', undefined, async () => 'yes')).toBe('yes');
  });
});
