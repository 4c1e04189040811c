import { CallsUnderWay, MAX_CALLS, MAX_CALLS_OF_SESSION } from './calls-under-way.js';

describe('calls under way on a ship', () => {
  const enterMany = (calls: CallsUnderWay, sessionId: string, count: number) =>
    Array.from({ length: count }, () => calls.enter(sessionId));

  it('tells whose they are until they are over', () => {
    const calls = new CallsUnderWay();
    const [first, second] = enterMany(calls, 'a', 2);
    first!();
    first!();
    expect([...calls.sessions()]).toEqual(['a']);
    second!();
    expect([...calls.sessions()]).toEqual([]);
  });

  it('of one session leave room for the others', () => {
    const calls = new CallsUnderWay();
    const [leave] = enterMany(calls, 'a', MAX_CALLS_OF_SESSION);
    expect(() => calls.enter('a')).toThrow(/of 512 for a session and 992 for all/);
    calls.enter('b');
    leave!();
    calls.enter('a');
  });

  it('of all sessions leave room for Bay', () => {
    const calls = new CallsUnderWay();
    enterMany(calls, 'a', MAX_CALLS_OF_SESSION);
    enterMany(calls, 'b', MAX_CALLS - MAX_CALLS_OF_SESSION);
    expect(() => calls.enter('c')).toThrow(/of 512 for a session and 992 for all/);
    expect(MAX_CALLS).toBeLessThan(1024);
  });

  it('are ended by one that goes on where others are too many', () => {
    const calls = new CallsUnderWay();
    enterMany(calls, 'a', MAX_CALLS_OF_SESSION);
    calls.enter('a', { control: true })();
    expect(() => calls.enter('a')).toThrow();
  });
});
