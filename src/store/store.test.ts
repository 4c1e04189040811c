import { describe, expect, it } from '@jest/globals';
import path from 'node:path';
import { Sqlite } from './sqlite.js';
import { silentLog } from '../telemetry/log.js';
import { Store, type PlaceRequest } from './store.js';
import { StoreError } from './store-error.js';
import { temporaryFolders } from '../testing/temporary-folder.js';

const newFolder = temporaryFolders('store');

describe('Store', () => {
  it('refuses a second Bay on the same file and names the first', async () => {
    const { file, store } = openTestStore();
    expect(() => openTestStore(file)).toThrow(StoreError);
    expect(() => openTestStore(file)).toThrow(new RegExp(`in use by another Bay \\(process ${process.pid}, since `));
    await store.close();

    await openTestStore(file).store.close();
  });

  it('keeps the deployment id over restarts', async () => {
    const { file, store } = openTestStore();
    await store.close();

    const again = openTestStore(file).store;
    expect(again.deploymentId).toBe(store.deploymentId);
    await again.close();
  });

  it('reserves at most MAX_SHIP_NUM places, whoever asks at once', async () => {
    const { store } = openTestStore();
    const placements = await Promise.all(
      Array.from({ length: 14 }, (_, n) => store.place(request({ sessionId: `s${n}`, maxShips: 10 }))),
    );
    expect(placements.filter(({ kind }) => kind === 'reserved')).toHaveLength(10);
    expect(placements.filter(({ kind }) => kind === 'full')).toHaveLength(4);
    await store.close();
  });

  it('makes one ship for two calls of one session', async () => {
    const { store } = openTestStore();
    const [first, second] = await Promise.all([store.place(request({})), store.place(request({}))]);
    expect([first.kind, second.kind]).toEqual(['reserved', 'wait']);
    await store.close();
  });

  it('lets nobody join a ship that is being created', async () => {
    const { store } = openTestStore();
    await store.place(request({ sessionId: 'a', maxSessionNum: 5 }));
    expect(await store.place(request({ sessionId: 'b' }))).toMatchObject({ kind: 'reserved' });
    await store.close();
  });

  it('gives the ship of a transition to one of those who try', async () => {
    const { store } = openTestStore();
    const ship = await running(store);
    const claims = await Promise.all([1, 2, 3].map(() => store.transition(ship, 'STOPPING', { now: at(5) })));
    expect(claims.filter(Boolean)).toHaveLength(1);
    await store.close();
  });

  it('refuses a transition of an earlier incarnation', async () => {
    const { store } = openTestStore();
    const ship = await running(store);
    await store.transition(ship, 'STOPPING', { now: at(1) });
    const stopped = await store.transition(ship, 'STOPPED', { now: at(1) });
    await store.restore(stopped!, { ...request({ now: at(2) }), spec: {} });
    expect(await store.transition(ship, 'RUNNING', { now: at(3) })).toBeUndefined();
    await store.close();
  });

  it('does not expire a ship that was renewed after the reaper looked, even where the renewal is not written yet', async () => {
    const { store } = openTestStore();
    const ship = await running(store, { ttlSeconds: 10 });
    expect(await store.listExpiredShips(at(11))).toHaveLength(1);
    store.renew(ship.id, 's', at(11));
    expect(await store.transition(ship, 'STOPPING', { now: at(11), ifExpiredAt: at(11) })).toBeUndefined();
    await store.close();
  });

  it('keeps a renewal that cannot be written until it can, and expires nothing meanwhile', async () => {
    const { file, store } = openTestStore();
    const ship = await running(store, { ttlSeconds: 10 });
    const other = new Sqlite(file);
    other.exec(`CREATE TRIGGER full BEFORE UPDATE ON leases BEGIN SELECT RAISE(ABORT, 'full'); END`);
    store.renew(ship.id, 's', at(8));
    await expect(store.listExpiredShips(at(11))).rejects.toMatchObject({ message: 'full' });
    expect(await store.getShip(ship.id)).toMatchObject({ state: 'RUNNING' });
    store.renew(ship.id, 's', at(9));
    await expect(store.listExpiredShips(at(11))).rejects.toMatchObject({ message: 'full' });
    other.exec('DROP TRIGGER full');
    other.close();
    expect(await store.listExpiredShips(at(18))).toEqual([]);
    expect(await store.listExpiredShips(at(19))).toHaveLength(1);
    await store.close();
  });

  it('does not let a lease of an earlier incarnation keep the next one alive', async () => {
    const { store } = openTestStore();
    const ship = await running(store, { ttlSeconds: 3600, maxSessionNum: 2 });
    await store.place(request({ sessionId: 'other', ttlSeconds: 3600 }));
    await store.transition(ship, 'STOPPING', { now: at(1) });
    const stopped = await store.transition(ship, 'STOPPED', { now: at(1) });
    const restored = await store.restore(stopped!, { ...request({ now: at(2), ttlSeconds: 5 }), spec: {} });
    await store.transition((restored as { ship: typeof ship }).ship, 'RUNNING', { now: at(3) });
    expect((await store.getShip(ship.id))?.expireTime).toEqual(at(8));
    await store.close();
  });

  it('gives a session the same uid when it comes back, and no other session ever', async () => {
    const { store } = openTestStore();
    const ship = await running(store);
    const before = (await store.listLeases(ship.id))[0]!;
    await store.transition(ship, 'STOPPING', { now: at(1) });
    const stopped = await store.transition(ship, 'STOPPED', { now: at(1) });
    const restored = await store.restore(stopped!, { ...request({ now: at(2) }), spec: {} });
    expect(restored).toMatchObject({ lease: { uid: before.uid, homeName: before.homeName } });
    await store.removeShip(ship.id);
    const next = await store.place(request({ sessionId: 's' }));
    expect(next).toMatchObject({ kind: 'reserved', lease: { uid: before.uid + 1 } });
    await store.close();
  });

  it('frees a seat only when the end of its lease is over', async () => {
    const { store } = openTestStore();
    const ship = await running(store, { maxShips: 1 });
    expect(await store.beginEnding(ship.id, 's')).toBeDefined();
    expect(await store.place(request({ sessionId: 'b', maxShips: 1 }))).toEqual({ kind: 'full' });
    expect(await store.place(request({ sessionId: 's', maxShips: 1 }))).toMatchObject({ kind: 'wait' });
    await store.finishEnding({ shipId: ship.id, sessionId: 's' }, 'released', at(2));
    expect(await store.place(request({ sessionId: 'b', maxShips: 1 }))).toMatchObject({ kind: 'seated' });
    await store.close();
  });

  it('lets a lease that was renewed in the last moment go on', async () => {
    const { store } = openTestStore();
    const ship = await running(store, { ttlSeconds: 10 });
    store.renew(ship.id, 's', at(10));
    expect(await store.beginEnding(ship.id, 's', { ifExpiredAt: at(11) })).toBeUndefined();
    await store.close();
  });

  it('extends, and shortens, what later use renews by', async () => {
    const { store } = openTestStore();
    const ship = await running(store, { ttlSeconds: 100 });
    expect(await store.extendLeases(ship.id, 5000, at(1))).toMatchObject({ expireTime: at(5001) });
    store.renew(ship.id, 's', at(10));
    expect(await store.getShip(ship.id)).toMatchObject({ expireTime: at(5010) });
    expect(await store.extendLeases(ship.id, 5, at(11))).toMatchObject({ expireTime: at(16) });
    await store.close();
  });

  it('makes a new ship for a session whose ship is just being deleted', async () => {
    const { store } = openTestStore();
    const ship = await running(store);
    await store.markRemoval(ship.id, 'all', at(1));
    expect(await store.place(request({}))).toMatchObject({ kind: 'reserved' });
    await store.close();
  });

  it('gives an expired session its seat back only while one is free', async () => {
    const { store } = openTestStore();
    const ship = await running(store, { ttlSeconds: 10, maxShips: 1 });
    await store.beginEnding(ship.id, 's');
    await store.finishEnding({ shipId: ship.id, sessionId: 's' }, 'expired', at(11));
    expect(await store.regrantLease(ship.id, 's', at(12))).toMatchObject({ expireTime: at(22), endTime: undefined });
    await store.beginEnding(ship.id, 's');
    await store.finishEnding({ shipId: ship.id, sessionId: 's' }, 'expired', at(23));
    await store.place(request({ sessionId: 'other', maxShips: 1, now: at(23) }));
    expect(await store.regrantLease(ship.id, 's', at(24))).toBeUndefined();
    await store.close();
  });
});

describe('uids of sessions', () => {
  const uidsOf = async (store: Store, shipId: string) => (await store.listLeases(shipId)).map(({ uid }) => uid);

  it('count up over all ships where they share the users of a machine', async () => {
    const { store } = openTestStore();
    const [one, two] = [await running(store, { sessionId: 'a' }), await running(store, { sessionId: 'b' })];
    expect([await uidsOf(store, one.id), await uidsOf(store, two.id)]).toEqual([[70_000], [70_001]]);
    await store.close();
  });

  it('count up in each ship where ships have users of their own, and are not used again there', async () => {
    const { store } = openTestStore();
    const uids = { scope: 'ship' as const, base: 10_000 };
    const ship = await running(store, { sessionId: 'a', maxSessionNum: 2, uids });
    await store.place(request({ sessionId: 'b', uids }));
    const other = await running(store, { sessionId: 'c', uids });
    expect(await uidsOf(store, other.id)).toEqual([10_000]);
    for (const sessionId of ['a', 'b']) {
      const ended = await store.beginEnding(ship.id, sessionId);
      if (ended) await store.finishEnding(ended, 'released', at(1));
    }
    await store.place(request({ sessionId: 'd', uids, now: at(2) }));
    expect(await uidsOf(store, ship.id)).toEqual([10_000, 10_001, 10_002]);
    await store.close();
  });
});

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000);

function openTestStore(file = path.join(newFolder(), 'bay.db')) {
  const importDefaults = { cpus: 1, memoryBytes: 512 * 1024 ** 2, ttlSeconds: 3600, uidBase: 70_000 };
  return { file, store: new Store({ file, log: silentLog, importDefaults, now: at(0) }) };
}

function request(overrides: Partial<PlaceRequest>): PlaceRequest {
  return {
    sessionId: 's',
    ttlSeconds: 60,
    spec: { cpus: 1, memoryBytes: 1024 ** 3 },
    maxSessionNum: 1,
    driver: 'fake',
    now: at(0),
    maxShips: 10,
    mayReserve: true,
    skip: [],
    uids: { scope: 'deployment', base: 70_000 },
    ...overrides,
  };
}

async function running(store: Store, overrides: Partial<PlaceRequest> = {}) {
  const placement = await store.place(request(overrides));
  if (placement.kind !== 'reserved') throw new Error(placement.kind);
  const ship = await store.transition(placement.ship, 'RUNNING', { now: at(0) });
  if (!ship) throw new Error('lost');
  return ship;
}
