import { afterEach, describe, expect, it } from '@jest/globals';
import { ShipState } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { StatusError } from '../../proto/rpc/status-error.js';
import { startTestBay, toStart, until, type TestBay, type TestBayOptions } from '../testing/start-test-bay.js';

const bays: TestBay[] = [];
const start = async (options?: TestBayOptions) => {
  const bay = await startTestBay(options);
  bays.push(bay);
  return bay;
};
afterEach(async () => {
  for (const bay of bays.splice(0)) await bay.end();
});

/** The next Bay on the same database and engine, after the first one died. */
async function restart(bay: TestBay): Promise<TestBay> {
  await bay.crash();
  bays.splice(bays.indexOf(bay), 1);
  bay.clock.advanceSeconds(1);
  return start({ after: bay });
}

describe('expiry', () => {
  it('stops a ship whose last lease ran out, and keeps its data', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 10 });
    const agent = bay.driver.agent(ship.shipId);
    bay.clock.advanceSeconds(10);
    await bay.reaper.tick();
    const ended = bay.clock.now().toISOString();
    expect(await bay.getShip(ship.shipId)).toMatchObject({
      state: ShipState.STOPPED,
      stateReason: `expired: its ttl ended at ${ended}`,
    });
    expect(agent.shutdowns).toBe(1);
    expect(bay.driver.data).toContain(ship.shipId);
  });

  it('leaves a ship alone that was used since the reaper looked', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 10 });
    bay.clock.advanceSeconds(9);
    await bay.run(ship, 's');
    bay.clock.advanceSeconds(9);
    await bay.reaper.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.RUNNING, ttlSeconds: 1 });
  });

  it('keeps a ship in constant use alive, however short its ttl', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 5 });
    for (let second = 0; second < 20; second += 1) {
      bay.clock.advanceSeconds(1);
      await bay.reaper.tick();
      await bay.run(ship, 's');
    }
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.RUNNING, incarnation: 1, ttlSeconds: 5 });
  });

  it('does not renew by a call that failed', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 60 });
    bay.clock.advanceSeconds(30);
    await expect(
      bay.files.readText({ shipId: ship.shipId, sessionId: 's', path: 'x', encoding: '' }),
    ).rejects.toMatchObject({
      reason: 'FILE_NOT_FOUND',
    });
    expect(await bay.getShip(ship.shipId)).toMatchObject({ ttlSeconds: 30 });
  });

  it('keeps a ship while work goes on that nobody reads', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 5 });
    const reading = new AbortController();
    const events = bay.executions.startExecution(toStart(ship.shipId, 's', 'print 3 held', 'work'), {
      signal: reading.signal,
    });
    const first = events[Symbol.asyncIterator]().next();
    await until('the work began', () => bay.driver.agent(ship.shipId).begun.length === 1);
    await until('Bay knows', () => bay.deps.links.get(ship.shipId)?.workingSessions().has('s') ?? false);
    reading.abort();
    await expect(first).rejects.toMatchObject({ reason: 'CANCELLED' });

    bay.clock.advanceSeconds(60);
    await bay.reaper.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.RUNNING });

    bay.driver.agent(ship.shipId).release('work');
    await until('Bay knows the end', () => !bay.deps.links.get(ship.shipId)?.activeSessions().has('s'));
    bay.clock.advanceSeconds(6);
    await bay.reaper.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.STOPPED });
  });

  it('renews by activity that the ship tells of', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 60 });
    bay.clock.advanceSeconds(50);
    await until('watched', async () => {
      bay.driver.agent(ship.shipId).showActivity('s');
      return (await bay.getShip(ship.shipId)).ttlSeconds === 60;
    });
  });

  it('gives the seat of a lease that ran out to another session, after its work was ended', async () => {
    const bay = await start({ settings: { maxShips: 1 } });
    const ship = await bay.createShip('a', { ttlSeconds: 100, maxSessionNum: 2 });
    await bay.createShip('b', { ttlSeconds: 10 });
    await expect(bay.createShip('c')).rejects.toMatchObject({ reason: 'SHIP_LIMIT_REACHED' });
    bay.clock.advanceSeconds(11);
    await bay.reaper.tick();
    expect(bay.driver.agent(ship.shipId).ended).toEqual(['b']);
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.RUNNING, currentSessionNum: 1 });
    expect(await bay.createShip('c')).toMatchObject({ shipId: ship.shipId, currentSessionNum: 2 });
    await expect(bay.run(ship, 'b')).rejects.toMatchObject({ reason: 'SESSION_NOT_BOUND' });
  });

  it('gives a session that comes back in time its seat and its user again', async () => {
    const bay = await start();
    const ship = await bay.createShip('a', { ttlSeconds: 100, maxSessionNum: 2 });
    await bay.createShip('b', { ttlSeconds: 10 });
    const before = bay.driver.agent(ship.shipId).bound.get('b');
    bay.clock.advanceSeconds(11);
    await bay.reaper.tick();
    await bay.run(ship, 'b');
    expect(bay.driver.agent(ship.shipId).bound.get('b')).toEqual(before);
  });

  it('lets an extension last', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 60 });
    expect(await bay.bay.extendTtl({ shipId: ship.shipId, ttlSeconds: 5000 })).toMatchObject({ ttlSeconds: 5000 });
    await bay.run(ship, 's');
    expect(await bay.getShip(ship.shipId)).toMatchObject({ ttlSeconds: 5000 });
  });

  it('tells the ship how long it is wanted', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 60 });
    const agent = bay.driver.agent(ship.shipId);
    await until('60 s', () => agent.remainingMs === 60_000);
    await bay.bay.extendTtl({ shipId: ship.shipId, ttlSeconds: 500 });
    await until('500 s', () => agent.remainingMs === 500_000);
  });
});

describe('endLease', () => {
  it('ends the session in the ship and frees its seat; the ship lives until the lease would have ended', async () => {
    const bay = await start();
    const ship = await bay.createShip('s', { ttlSeconds: 60 });
    expect(await bay.bay.endLease({ shipId: ship.shipId, sessionId: 's' })).toMatchObject({
      state: ShipState.RUNNING,
      currentSessionNum: 0,
      ttlSeconds: 60,
    });
    expect(bay.driver.agent(ship.shipId).ended).toEqual(['s']);
    await expect(bay.run(ship, 's')).rejects.toMatchObject({ reason: 'SESSION_NOT_BOUND' });
    bay.clock.advanceSeconds(61);
    await bay.reaper.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.STOPPED });
  });

  it('refuses a session without a seat and a ship that is not there', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    await expect(bay.bay.endLease({ shipId: ship.shipId, sessionId: 'x' })).rejects.toMatchObject({
      reason: 'SESSION_NOT_BOUND',
    });
    await expect(bay.bay.endLease({ shipId: 'none', sessionId: 'x' })).rejects.toMatchObject({
      reason: 'SHIP_NOT_FOUND',
    });
  });
});

describe('deleteShip', () => {
  it('removes the ship and its data, and is final', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    await bay.bay.deleteShip({ shipId: ship.shipId, keepWorkspace: false });
    await expect(bay.getShip(ship.shipId)).rejects.toMatchObject({ reason: 'SHIP_NOT_FOUND' });
    expect(bay.driver.lives).toEqual([]);
    expect(bay.driver.data.size).toBe(0);
    expect((await bay.createShip('s')).shipId).not.toBe(ship.shipId);
  });

  it('keeps the workspaces where asked to', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    await bay.bay.deleteShip({ shipId: ship.shipId, keepWorkspace: true });
    expect(bay.driver.data).toContain(ship.shipId);
  });

  it('deletes a ship that is being created, whose creator is told', async () => {
    const bay = await start();
    let shipId = '';
    bay.driver.beforeStart = (ship, signal) => {
      shipId = ship.id;
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    };
    const creating = bay.createShip('s');
    creating.catch(() => undefined);
    await until('the start', () => shipId !== '');
    await bay.bay.deleteShip({ shipId, keepWorkspace: false });
    await expect(creating).rejects.toMatchObject({ reason: 'SHIP_START_FAILED' });
    expect(await bay.store.listShips()).toEqual([]);
    expect(bay.driver.lives).toEqual([]);
  });

  it('gives a session a new ship while the deleted one does not come to an end', async () => {
    const bay = await start();
    const { shipId } = await bay.createShip('s');
    bay.driver.beforeStop = () => Promise.reject(new StatusError('DRIVER_UNAVAILABLE', 'its node is lost'));
    const deletion = bay.bay.deleteShip({ shipId, keepWorkspace: false });
    await expect(deletion).rejects.toMatchObject({ reason: 'DRIVER_UNAVAILABLE' });
    expect((await bay.createShip('s')).shipId).not.toBe(shipId);
    bay.driver.beforeStop = async () => undefined;
    await bay.reconciler.tick();
    await expect(bay.getShip(shipId)).rejects.toMatchObject({ reason: 'SHIP_NOT_FOUND' });
  });

  it('deletes a stopped ship, and one deleted twice at once', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    await bay.bay.stopShip({ shipId: ship.shipId });
    const remove = () => bay.bay.deleteShip({ shipId: ship.shipId, keepWorkspace: false });
    await Promise.all([remove(), remove()]);
    await expect(remove()).rejects.toMatchObject({ reason: 'SHIP_NOT_FOUND' });
  });
});

describe('stopShip', () => {
  it('answers twice with the stopped ship', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    const stop = () => bay.bay.stopShip({ shipId: ship.shipId });
    const answers = [...(await Promise.all([stop(), stop()])), await stop()];
    const stopped = { state: ShipState.STOPPED, stateReason: 'stopped by request' };
    expect(answers).toEqual(Array(3).fill(expect.objectContaining(stopped)));
    await expect(bay.run(ship, 's')).rejects.toMatchObject({ reason: 'SHIP_NOT_RUNNING' });
  });
});

describe('why a ship does not run', () => {
  it('is told no longer when it runs again', async () => {
    const bay = await start();
    const { shipId } = await bay.createShip('s');
    await bay.bay.stopShip({ shipId });
    expect(await bay.createShip('s')).toMatchObject({ shipId, state: ShipState.RUNNING, stateReason: '' });
    expect(await bay.getShip(shipId)).toMatchObject({ stateReason: '' });
  });

  it('is that somebody asked, while a deletion does not come to an end', async () => {
    const bay = await start();
    const { shipId } = await bay.createShip('s');
    bay.driver.beforeStop = () => Promise.reject(new StatusError('DRIVER_UNAVAILABLE', 'its node is lost'));
    const deletion = bay.bay.deleteShip({ shipId, keepWorkspace: false });
    await expect(deletion).rejects.toMatchObject({ reason: 'DRIVER_UNAVAILABLE' });
    expect(await bay.getShip(shipId)).toMatchObject({ state: ShipState.STOPPING, stateReason: 'deleted by request' });
  });

  it('stays that of its death, where somebody asks to stop it afterwards', async () => {
    const bay = await start();
    const { shipId } = await bay.createShip('s');
    await bay.driver.kill(shipId);
    await until('Bay knows', async () => (await bay.getShip(shipId)).state === ShipState.STOPPED);
    const { stateReason } = await bay.bay.stopShip({ shipId });
    expect(stateReason).toMatch(/gone|SIGKILL/);
  });
});

describe('a Bay that was killed', () => {
  it('finds its running ships again', async () => {
    const first = await start();
    const ship = await first.createShip('s');
    const bay = await restart(first);
    await bay.reconciler.tick();
    expect(await bay.run(ship, 's')).toHaveLength(3);
    expect(bay.driver.started).toHaveLength(1);
    expect(bay.driver.stopped).toEqual([]);
  });

  it('leaves nothing of a ship that it was just reserving', async () => {
    const first = await start();
    await first.store.place({ ...placeRequest(first), sessionId: 's' });
    const bay = await restart(first);
    await bay.reconciler.tick();
    expect(await bay.store.listShips()).toEqual([]);
  });

  it('leaves nothing of a ship that was started and not yet on record', async () => {
    const first = await start();
    const placement = await first.store.place({ ...placeRequest(first), sessionId: 's' });
    if (placement.kind !== 'reserved') throw new Error(placement.kind);
    await first.driver.start(placement.ship, { token: 'x', signal: new AbortController().signal });
    const bay = await restart(first);
    await bay.reconciler.tick();
    expect(await bay.store.listShips()).toEqual([]);
    expect(bay.driver.lives).toEqual([]);
    expect(bay.driver.data.size).toBe(0);
  });

  it('stops a ship again that it was restoring, and keeps its data', async () => {
    const first = await start();
    const ship = await first.createShip('s');
    await first.bay.stopShip({ shipId: ship.shipId });
    const stopped = (await first.store.getShip(ship.shipId))!;
    await first.store.restore(stopped, { ...placeRequest(first), sessionId: 's', spec: {} });
    const bay = await restart(first);
    await bay.reconciler.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.STOPPED, incarnation: 2 });
    expect(bay.driver.data).toContain(ship.shipId);
    expect(await bay.createShip('s')).toMatchObject({ shipId: ship.shipId, incarnation: 3 });
  });

  it('finishes a stop that was claimed', async () => {
    const first = await start();
    const ship = await first.createShip('s');
    await first.store.transition((await first.store.getShip(ship.shipId))!, 'STOPPING', { now: first.clock.now() });
    const bay = await restart(first);
    await bay.reconciler.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.STOPPED });
    expect(bay.driver.lives).toEqual([]);
  });

  it('finishes a deletion that was written down', async () => {
    const first = await start();
    const ship = await first.createShip('s');
    await first.store.markRemoval(ship.shipId, 'all', first.clock.now());
    const bay = await restart(first);
    await bay.reconciler.tick();
    expect(await bay.store.listShips()).toEqual([]);
    expect(bay.driver.lives).toEqual([]);
    expect(bay.driver.data.size).toBe(0);
  });

  it('finishes the undoing of a start', async () => {
    const first = await start();
    const placement = await first.store.place({ ...placeRequest(first), sessionId: 's' });
    if (placement.kind !== 'reserved') throw new Error(placement.kind);
    await first.store.transition(placement.ship, 'FAILED', { now: first.clock.now(), reason: 'x' });
    const bay = await restart(first);
    await bay.reconciler.tick();
    expect(await bay.store.listShips()).toEqual([]);
  });

  it('finishes the end of a lease that was claimed', async () => {
    const first = await start();
    const ship = await first.createShip('a', { maxSessionNum: 2 });
    await first.createShip('b');
    await first.store.beginEnding(ship.shipId, 'b');
    const bay = await restart(first);
    await bay.reaper.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({ currentSessionNum: 1 });
    expect(bay.driver.agent(ship.shipId).ended).toEqual(['b']);
  });

  it('marks a ship stopped that died meanwhile, with the reason', async () => {
    const first = await start();
    const ship = await first.createShip('s');
    await first.crash();
    bays.splice(0);
    await first.driver.kill(ship.shipId);
    first.clock.advanceSeconds(1);
    const bay = await start({ after: first });
    await bay.reconciler.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({
      state: ShipState.STOPPED,
      stateReason: 'the process is gone',
    });
  });

  it('stops ships whose lease ran out while nobody looked', async () => {
    const first = await start();
    const ship = await first.createShip('s', { ttlSeconds: 60 });
    const bay = await restart(first);
    bay.clock.advanceSeconds(100);
    await bay.reconciler.tick();
    await bay.reaper.tick();
    expect(await bay.getShip(ship.shipId)).toMatchObject({ state: ShipState.STOPPED });
  });

  it('ends what lives without a row, and what lives of an earlier incarnation', async () => {
    const bay = await start();
    const ship = await bay.createShip('s');
    const stray = { ...(await bay.store.getShip(ship.shipId))!, id: 'stray' };
    await bay.driver.start(stray, { token: 'x', signal: new AbortController().signal });
    await bay.reconciler.tick();
    expect(bay.driver.lives).toEqual([ship.shipId]);
  });

  it('leaves starts of its own alone', async () => {
    const bay = await start();
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    bay.driver.beforeStart = () => held;
    const creating = bay.createShip('s');
    await until('CREATING', async () => (await bay.store.listShips(['CREATING'])).length === 1);
    bay.clock.advanceSeconds(30);
    await bay.reconciler.tick();
    go();
    expect(await creating).toMatchObject({ state: ShipState.RUNNING });
  });
});

describe('under load', () => {
  it('never has more lives than MAX_SHIP_NUM, and ends with rows and lives in step', async () => {
    const bay = await start({ settings: { maxShips: 3 } });
    let seed = 42;
    const random = (below: number) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below;
    bay.driver.beforeStart = async (_ship, signal) => {
      await new Promise((resolve) => setTimeout(resolve, random(5)));
      signal.throwIfAborted();
      if (random(5) === 0) throw new Error('no luck');
    };
    const act = async (step: number) => {
      const session = `s${random(6)}`;
      const ships = await bay.store.listShips();
      const ship = ships[random(Math.max(1, ships.length))];
      const kind = random(6);
      if (kind < 3) await bay.createShip(session, { ttlSeconds: 1 + random(20), maxSessionNum: 1 + random(2) });
      else if (kind === 3 && ship) await bay.bay.stopShip({ shipId: ship.id });
      else if (kind === 4 && ship) await bay.bay.deleteShip({ shipId: ship.id, keepWorkspace: false });
      else if (ship && step % 4 === 0) await bay.driver.kill(ship.id);
      bay.clock.advanceSeconds(1);
      await bay.reaper.tick();
      expect(await bay.store.countPlaces()).toBeLessThanOrEqual(3);
    };
    for (let round = 0; round < 25; round += 1) {
      const results = await Promise.allSettled(Array.from({ length: 6 }, (_, step) => act(step)));
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ name: 'StatusError' });
      }
    }
    expect(bay.driver.mostAtOnce).toBeLessThanOrEqual(3);
    bay.clock.advanceSeconds(1000);
    await bay.reconciler.tick();
    await until('all expired', async () => {
      await bay.reaper.tick();
      return (await bay.store.countPlaces()) === 0;
    });
    expect(bay.driver.lives).toEqual([]);
  });
});

function placeRequest(bay: TestBay) {
  return {
    ttlSeconds: 60,
    spec: { cpus: 1, memoryBytes: 1024 ** 3 },
    maxSessionNum: 1,
    driver: 'fake',
    now: bay.clock.now(),
    maxShips: 10,
    mayReserve: true,
    skip: [],
    uids: { scope: 'deployment' as const, base: 70_000 },
  };
}
