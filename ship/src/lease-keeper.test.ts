import { FakeClock } from './executions/testing/fake-clock.js';
import { LeaseKeeper } from './lease-keeper.js';

const MINUTE = 60_000;

describe('LeaseKeeper', () => {
  const clock = new FakeClock();
  let busy = false;
  let ends: string[] = [];
  const keeper = (ephemeral = false): LeaseKeeper =>
    new LeaseKeeper({ clock, ephemeral, busy: () => busy, end: (why) => ends.push(why) });
  const link = (): (() => void) & { closed: Promise<void> } => {
    let close: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => (close = resolve));
    return Object.assign(() => close(), { closed });
  };

  beforeEach(() => {
    busy = false;
    ends = [];
  });

  it('ends a ship 10 minutes after its lease where no Bay is connected', async () => {
    const lease = keeper();
    lease.setLease(5 * MINUTE);
    await clock.advance(15 * MINUTE - 1);
    expect(ends).toEqual([]);
    await clock.advance(1);
    expect(ends).toHaveLength(1);
  });

  it('keeps it as long as a Bay is connected, and as long as something runs', async () => {
    const lease = keeper();
    const first = link();
    const second = link();
    lease.addLink(first.closed);
    lease.addLink(second.closed);
    first();
    await clock.advance(60 * MINUTE);
    expect(ends).toEqual([]);
    busy = true;
    second();
    await clock.advance(MINUTE);
    expect(ends).toEqual([]);
    busy = false;
    await clock.advance(1_000);
    expect(ends).toHaveLength(1);
  });

  it('ends an ephemeral ship 5 s after its last link, whatever runs', async () => {
    const lease = keeper(true);
    busy = true;
    lease.setLease(60 * MINUTE);
    const only = link();
    lease.addLink(only.closed);
    await clock.advance(5 * MINUTE);
    expect(ends).toEqual([]);
    only();
    await clock.advance(0);
    const again = link();
    await clock.advance(4_000);
    lease.addLink(again.closed);
    await clock.advance(MINUTE);
    expect(ends).toEqual([]);
    again();
    await clock.advance(0);
    await clock.advance(5_000);
    expect(ends).toHaveLength(1);
  });

  it('does not wait for ever for a first link', async () => {
    keeper(true);
    await clock.advance(MINUTE);
    expect(ends).toHaveLength(1);
  });
});
