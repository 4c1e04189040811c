import { describe, expect, it } from '@jest/globals';
import { WaitQueue } from './wait-queue.js';

describe('WaitQueue', () => {
  const forever = new AbortController().signal;

  it('lets only the first reserve, and the next one when it left', async () => {
    const queue = new WaitQueue();
    const [a, b] = [queue.join(), queue.join()];
    expect([queue.mayReserve(a), queue.mayReserve(b), queue.mayReserve(undefined)]).toEqual([true, false, false]);
    queue.leave(a);
    await b.turn(forever);
    expect(queue.mayReserve(b)).toBe(true);
  });

  it('lets the first look once at once, then only when something became free', async () => {
    const queue = new WaitQueue();
    const ticket = queue.join();
    await ticket.turn(forever);
    const seen: string[] = [];
    const second = ticket.turn(forever).then(() => seen.push('turn'));
    await Promise.resolve();
    seen.push('freed');
    queue.freed();
    await second;
    expect(seen).toEqual(['freed', 'turn']);
  });

  it('ends a wait whose caller leaves', async () => {
    const queue = new WaitQueue();
    const ticket = queue.join();
    await ticket.turn(forever);
    const leaving = new AbortController();
    const waiting = ticket.turn(leaving.signal);
    leaving.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
  });
});
