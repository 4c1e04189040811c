import { setImmediate } from 'node:timers/promises';
import { FakeClock } from '../testing/fake-clock.js';
import { HOLD_MS, StartGate } from './start-gate.js';

describe('StartGate', () => {
  const never = new AbortController().signal;
  let clock: FakeClock;
  let limit: number;
  let gate: StartGate;
  let begun: string[];
  beforeEach(() => {
    [clock, limit, begun] = [new FakeClock(), 2, []];
    gate = new StartGate(() => limit, clock);
  });

  /** Begins a start that goes on until finish() is called. */
  const start = (name: string, signal = never) => {
    let finish: () => void = () => undefined;
    const done = gate.run(signal, () => {
      begun.push(name);
      return new Promise<void>((resolve) => (finish = resolve));
    });
    done.catch(() => undefined);
    return { done, finish: () => finish() };
  };

  it('lets as many go as the limit says, and the next when one ends', async () => {
    const [a] = [start('a'), start('b'), start('c'), start('d')];
    await setImmediate();
    expect(begun).toEqual(['a', 'b']);
    a.finish();
    await a.done;
    await setImmediate();
    expect(begun).toEqual(['a', 'b', 'c']);
  });

  it('gives the place on when a start fails', async () => {
    limit = 1;
    const failed = gate.run(never, () => Promise.reject(new Error('no room')));
    start('next');
    await expect(failed).rejects.toThrow('no room');
    await setImmediate();
    expect(begun).toEqual(['next']);
  });

  it('lets the next go when one takes long, and counts it once', async () => {
    limit = 1;
    const slow = start('slow');
    start('second');
    start('third');
    await setImmediate();
    clock.advanceSeconds(HOLD_MS / 1000);
    await setImmediate();
    expect(begun).toEqual(['slow', 'second']);
    slow.finish();
    await slow.done;
    await setImmediate();
    expect(begun).toEqual(['slow', 'second']);
  });

  it('forgets who leaves while waiting', async () => {
    limit = 1;
    const first = start('first');
    const leaver = new AbortController();
    const left = start('left', leaver.signal);
    start('last');
    leaver.abort(new Error('gone'));
    await expect(left.done).rejects.toThrow('gone');
    first.finish();
    await first.done;
    await setImmediate();
    expect(begun).toEqual(['first', 'last']);
  });

  it('does not begin for one who has left already', async () => {
    await expect(start('a', AbortSignal.abort(new Error('gone'))).done).rejects.toThrow('gone');
    expect(begun).toEqual([]);
  });
});
