import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { timeoutSignal } from './timeout-signal.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }));

describe('timeoutSignal', () => {
  it('comes, whatever was collected until then', async () => {
    const outer = new AbortController();
    const reason = aborted(timeoutSignal(100, outer.signal));
    await sleep(10);
    collect();
    expect(await reason).toMatchObject({ name: 'TimeoutError' });
  });

  it('comes before its time with the reason of another', async () => {
    const outer = new AbortController();
    const reason = aborted(timeoutSignal(60_000, undefined, outer.signal));
    const why = new Error('no longer wanted');
    outer.abort(why);
    expect(await reason).toBe(why);
    expect(timeoutSignal(60_000, AbortSignal.abort(why)).reason).toBe(why);
  });
});
