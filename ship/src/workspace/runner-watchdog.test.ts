import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { RunnerWatchdog } from './runner-watchdog.js';

describe('the watchdog of a session runner', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  function open() {
    const seen = { asked: 0, silent: 0, waited: false };
    const watchdog = new RunnerWatchdog({
      ask: () => void (seen.asked += 1),
      isWaited: () => seen.waited,
      onSilent: () => void (seen.silent += 1),
    });
    watchdog.heard(); // it has begun
    return { watchdog, seen };
  }

  it('asks nothing of a runner that owes nothing', () => {
    const { watchdog, seen } = open();
    jest.advanceTimersByTime(60_000);
    watchdog.said();
    watchdog.heard();
    jest.advanceTimersByTime(60_000);
    expect(seen).toMatchObject({ asked: 0, silent: 0 });
    expect(jest.getTimerCount()).toBe(0);
  });

  it('tells of a runner that leaves all questions of half a minute unheard, once', () => {
    const { watchdog, seen } = open();
    watchdog.said();
    jest.advanceTimersByTime(30_000);
    expect(seen).toMatchObject({ asked: 15, silent: 0 });
    jest.advanceTimersByTime(60_000);
    expect(seen).toMatchObject({ asked: 15, silent: 1 });
  });

  it('waits for as long as it is heard now and then', () => {
    const { watchdog, seen } = open();
    seen.waited = true;
    watchdog.said();
    for (let times = 0; times < 10; times += 1) {
      jest.advanceTimersByTime(28_000);
      watchdog.heard();
    }
    expect(seen.silent).toBe(0);
  });

  it('leaves a start to its own limit', () => {
    const seen = { silent: 0 };
    const starting = { ask: () => undefined, isWaited: () => true, onSilent: () => void (seen.silent += 1) };
    const watchdog = new RunnerWatchdog(starting);
    watchdog.said();
    jest.advanceTimersByTime(60_000);
    expect(seen.silent).toBe(0);
    watchdog.close();
  });
});
