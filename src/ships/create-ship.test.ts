import { afterEach, describe, expect, it } from '@jest/globals';
import { ShipState } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { startTestBay, until, type TestBay, type TestBayOptions } from '../testing/start-test-bay.js';

describe('createShip', () => {
  const bays: TestBay[] = [];
  const start = async (options?: TestBayOptions) => {
    const bay = await startTestBay(options);
    bays.push(bay);
    return bay;
  };
  afterEach(async () => {
    for (const bay of bays.splice(0)) await bay.end();
  });

  it('answers with a running ship whose seat is taken and whose ttl is the one asked for', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 61, maxSessionNum: 2 });
    expect(ship).toMatchObject({
      state: ShipState.RUNNING,
      currentSessionNum: 1,
      ttlSeconds: 61,
      maxSessionNum: 2,
      incarnation: 1,
    });
    expect(ship.expireTime).toEqual(new Date(bay.clock.now().getTime() + 61_000));
    expect(bay.driver.agent(ship.shipId).bound.get('s')).toMatchObject({ uid: 70_000 });
  });

  it('tells a failed start while the engine hangs at undoing it, and keeps the ship until it is undone', async () => {
    const bay = await start();
    bay.driver.beforeStart = async () => Promise.reject(new StatusError('DRIVER_UNAVAILABLE', 'no answer'));
    let undo: () => void = () => undefined;
    let asked = false;
    bay.driver.beforeStop = () => {
      asked = true;
      return new Promise((resolve) => (undo = resolve));
    };
    const made = bay.createShip('s').then(
      () => 'made',
      (error: Error) => error.message,
    );
    await until('the engine is asked to undo it', () => asked);
    bay.clock.advanceSeconds(1);
    expect(await made).toBe('no answer');
    expect(await bay.store.listShips()).toMatchObject([{ state: 'FAILED' }]);
    undo();
    await bay.deps.undoing.settled(AbortSignal.timeout(10_000));
    expect(await bay.store.listShips()).toEqual([]);
  });

  it('seats nobody in a ship whose agent is ending, and restores it when it has ended', async () => {
    const bay = await start();
    const { shipId } = await bay.createShip('s');
    bay.driver.agent(shipId).tellStopping();
    await until('Bay has heard of it', () => bay.deps.links.get(shipId)?.stopping === true);
    let answered = false;
    const again = bay.createShip('s').finally(() => (answered = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    await bay.driver.kill(shipId);
    expect(await again).toMatchObject({ shipId, incarnation: 2, state: ShipState.RUNNING });
  });

  it('measures the phases of a start', async () => {
    const bay = await start();
    await bay.createShip('s');
    const text = await bay.metrics.text();
    for (const phase of ['start', 'hello', 'first_answer'])
      expect(text).toContain(`shipyard_ship_start_seconds_count{driver="fake",phase="${phase}"} 1`);
  });

  it('counts a lease from when the ship can be used', async () => {
    const bay = await start();
    bay.driver.beforeStart = async () => bay.clock.advanceSeconds(30);
    expect(await bay.createShip('s', { ttlSeconds: 60 })).toMatchObject({ ttlSeconds: 60 });
  });

  it('gives a session that asks again the same ship, with its lease renewed', async () => {
    const bay = await start();
    const first = await bay.createShip('s', { ttlSeconds: 60 });
    bay.clock.advanceSeconds(50);
    expect(await bay.createShip('s', { ttlSeconds: 20 })).toMatchObject({ shipId: first.shipId, ttlSeconds: 20 });
    expect(bay.driver.started).toHaveLength(1);
  });

  it('makes one ship of parallel calls of one session', async () => {
    const bay = await start();
    const ships = await Promise.all(Array.from({ length: 8 }, () => bay.createShip('s')));
    expect(new Set(ships.map((ship) => ship.shipId)).size).toBe(1);
    expect(bay.driver.started).toHaveLength(1);
  });

  it('keeps to the limit when 14 sessions ask at once', async () => {
    const bay = await start();
    const results = await Promise.allSettled(Array.from({ length: 14 }, (_, n) => bay.createShip(`s${n}`)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
    expect(refused).toHaveLength(4);
    for (const error of refused) {
      expect(error).toMatchObject({ reason: 'SHIP_LIMIT_REACHED', message: 'Maximum number of ships reached' });
    }
    expect(bay.driver.mostAtOnce).toBe(10);
  });

  it('joins a running ship with a free seat, and never one that is being created', async () => {
    const bay = await start();
    const gate = holdStarts(bay);
    const first = bay.createShip('a', { maxSessionNum: 2 });
    await until('the first start', () => gate.held.length === 1);
    bay.clock.advanceSeconds(1);
    const second = bay.createShip('b', { maxSessionNum: 2 });
    await until('the second start', () => gate.held.length === 2);
    gate.open();
    const [one, two] = await Promise.all([first, second]);
    expect(two.shipId).not.toBe(one.shipId);

    const third = await bay.createShip('c');
    expect(third.shipId).toBe(one.shipId);
    expect(third.currentSessionNum).toBe(2);
    expect([...bay.driver.agent(third.shipId).bound.keys()].sort()).toEqual(['a', 'c']);
  });

  it('restores a stopped ship with its data, uid and next incarnation', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    await bay.bay.stopShip({ shipId: ship.shipId });
    expect(await bay.getShip(ship.shipId)).toMatchObject({
      state: ShipState.STOPPED,
      expireTime: undefined,
      ttlSeconds: 0,
      currentSessionNum: 0,
    });

    const restored = await bay.createShip('s');
    expect(restored).toMatchObject({
      shipId: ship.shipId,
      incarnation: 2,
      state: ShipState.RUNNING,
      currentSessionNum: 1,
    });
    expect(bay.driver.agent(ship.shipId).bound.get('s')).toMatchObject({ uid: 70_000, homeName: 'session-70000' });
  });

  it('makes a new ship where the data of the old one are gone', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    await bay.bay.stopShip({ shipId: ship.shipId });
    await bay.driver.removeData(ship.shipId);
    expect((await bay.createShip('s')).shipId).not.toBe(ship.shipId);
  });

  it('counts a restore against the limit', async () => {
    const bay = await start({ settings: { maxShips: 1 } });
    const ship = await bay.createShip('a');
    await bay.bay.stopShip({ shipId: ship.shipId });
    await bay.createShip('b');
    await expect(bay.createShip('a')).rejects.toMatchObject({ reason: 'SHIP_LIMIT_REACHED' });
  });

  it('restores for every session of a shared ship', async () => {
    const bay = await start();
    const ship = await bay.createShip('a', { maxSessionNum: 2 });
    await bay.createShip('b');
    await bay.bay.stopShip({ shipId: ship.shipId });
    const [a, b] = await Promise.all([bay.createShip('a'), bay.createShip('b')]);
    expect([a.shipId, b.shipId]).toEqual([ship.shipId, ship.shipId]);
    expect(bay.driver.started).toHaveLength(2);
  });

  it('waits for the removal of a ship that expires in the same moment, and restores it', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 10 });
    const gate = holdStops(bay);
    bay.clock.advanceSeconds(11);
    const reaped = bay.reaper.tick();
    await until('the stop', () => gate.held.length === 1);
    const again = bay.createShip('s');
    gate.open();
    await reaped;
    expect(await again).toMatchObject({ shipId: ship.shipId, incarnation: 2 });
  });

  it('tells a session that waits for the end of its ship why that does not come', async () => {
    const bay = await start();
    const { shipId } = await bay.createShip('s');
    const gate = holdStops(bay);
    await bay.driver.kill(shipId);
    await until('the stop', () => gate.held.length === 1);
    let failure: unknown;
    bay.createShip('s').catch((error: unknown) => (failure = error));
    await until('it gives up', () => {
      bay.clock.advanceSeconds(91);
      return failure !== undefined;
    });
    gate.open();
    const { stateReason } = await bay.getShip(shipId);
    expect(stateReason).not.toBe('');
    expect(failure).toMatchObject({
      reason: 'DRIVER_UNAVAILABLE',
      message: expect.stringContaining(`does not come to an end: ${stateReason}`),
    });
  });

  it('leaves nothing of a start that fails', async () => {
    const bay = await start({ settings: { maxShips: 1 } });
    bay.driver.beforeStart = async () => {
      throw new Error('no luck');
    };
    await expect(bay.createShip('s')).rejects.toMatchObject({ reason: 'SHIP_START_FAILED' });
    expect(await bay.store.listShips()).toEqual([]);
    bay.driver.beforeStart = async () => undefined;
    await bay.createShip('other');
  });

  it('leaves nothing of a start that its caller left', async () => {
    const bay = await start();
    const gate = holdStarts(bay);
    const leaving = new AbortController();
    const call = bay.createShip('s', {}, { signal: leaving.signal });
    await until('the start', () => gate.held.length === 1);
    leaving.abort();
    await expect(call).rejects.toMatchObject({ reason: 'CANCELLED' });
    gate.open();
    await until('the row is gone', async () => (await bay.store.listShips()).length === 0);
    expect(bay.driver.lives).toEqual([]);
  });

  it('gives a ship up that is not ready in time', async () => {
    const bay = await start({ settings: { startTimeoutMs: 60_000 } });
    const gate = holdStarts(bay);
    const call = bay.createShip('s');
    await until('the start', () => gate.held.length === 1);
    bay.clock.advanceSeconds(61);
    gate.open();
    await expect(call).rejects.toMatchObject({
      reason: 'SHIP_START_FAILED',
      message: 'Ship failed to become ready within 60 seconds',
    });
    expect(bay.driver.lives).toEqual([]);
  });

  it('stops a restored ship again that does not start, and keeps its data', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    await bay.bay.stopShip({ shipId: ship.shipId });
    bay.driver.beforeStart = async () => {
      throw new Error('no luck');
    };
    await expect(bay.createShip('s')).rejects.toMatchObject({ reason: 'SHIP_START_FAILED' });
    expect(await bay.getShip(ship.shipId)).toMatchObject({
      state: ShipState.STOPPED,
      stateReason: expect.stringContaining('start failed'),
    });
    expect(bay.driver.data).toContain(ship.shipId);
  });

  it('notices a ship that died behind its back, and restores it', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    bay.driver.tellsDeath = false;
    await bay.driver.kill(ship.shipId);
    await until('STOPPED', async () => (await bay.getShip(ship.shipId)).state === ShipState.STOPPED);
    expect(await bay.getShip(ship.shipId)).toMatchObject({ stateReason: expect.stringMatching(/gone|SIGKILL/) });
    expect(await bay.createShip('s')).toMatchObject({ shipId: ship.shipId, incarnation: 2 });
  });

  describe('with BEHAVIOR_AFTER_MAX_SHIP=wait', () => {
    const waiting = { settings: { maxShips: 1, whenFull: 'wait' as const } };

    it('serves those who wait in the order in which they came', async () => {
      const bay = await start(waiting);
      const served: string[] = [];
      let current = await bay.createShip('first');
      const calls = ['a', 'b', 'c'].map(async (session, index) => {
        await until('its turn to ask', () => bay.deps.queue.length === index);
        const ship = await bay.createShip(session);
        served.push(session);
        current = ship;
      });
      await until('three wait', () => bay.deps.queue.length === 3);
      for (const count of [1, 2, 3]) {
        await bay.bay.deleteShip({ shipId: current.shipId, keepWorkspace: false });
        await until('the next is served', () => served.length === count);
      }
      await Promise.all(calls);
      expect(served).toEqual(['a', 'b', 'c']);
      expect(bay.driver.mostAtOnce).toBe(1);
    });

    it('lets no newcomer overtake', async () => {
      const bay = await start(waiting);
      const ship = await bay.createShip('first');
      const early = bay.createShip('early');
      await until('it waits', () => bay.deps.queue.length === 1);
      const deleted = bay.bay.deleteShip({ shipId: ship.shipId, keepWorkspace: false });
      const late = bay.createShip('late');
      late.catch(() => undefined);
      await deleted;
      const served = await early;
      expect(bay.deps.queue.length).toBe(1);
      await bay.bay.deleteShip({ shipId: served.shipId, keepWorkspace: false });
      await late;
    });

    it('gives up after 300 s', async () => {
      const bay = await start(waiting);
      await bay.createShip('first');
      const call = bay.createShip('second');
      call.catch(() => undefined);
      await until('it waits', () => bay.deps.queue.length === 1);
      await until('its sleep', async () => {
        bay.clock.advanceSeconds(301);
        return bay.deps.queue.length === 0;
      });
      await expect(call).rejects.toMatchObject({
        reason: 'SHIP_WAIT_TIMEOUT',
        message: 'Timeout waiting for available ship slot',
      });
    });

    it('forgets a caller who leaves', async () => {
      const bay = await start(waiting);
      await bay.createShip('first');
      const leaving = new AbortController();
      const call = bay.createShip('second', {}, { signal: leaving.signal });
      await until('it waits', () => bay.deps.queue.length === 1);
      leaving.abort();
      await expect(call).rejects.toMatchObject({ reason: 'CANCELLED' });
      await until('nobody waits', () => bay.deps.queue.length === 0);
    });
  });
});

/** Lets starts begin and hold until they are let go. */
function holdStarts(bay: TestBay) {
  const gate = toGate();
  bay.driver.beforeStart = async (ship) => gate.hold(ship.id);
  return gate;
}

function holdStops(bay: TestBay) {
  const gate = toGate();
  bay.driver.beforeStop = async (ship) => gate.hold(ship.id);
  return gate;
}

function toGate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const held: string[] = [];
  return {
    held,
    open,
    hold: async (id: string) => {
      held.push(id);
      await opened;
    },
  };
}
