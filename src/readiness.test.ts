import { describe, expect, it } from '@jest/globals';
import { tmpdir } from 'node:os';
import { StatusError } from '../proto/rpc/status-error.js';
import { createReadiness, type ReadinessDeps } from './readiness.js';
import { FakeClock } from './testing/fake-clock.js';

describe('readiness', () => {
  function open(values: Partial<ReadinessDeps> = {}) {
    const clock = new FakeClock();
    const looks = { count: 0, failure: undefined as StatusError | undefined };
    const store = {
      async probe() {
        looks.count += 1;
        if (looks.failure) throw looks.failure;
      },
    };
    const driver = { name: 'fake' };
    return { clock, looks, ready: createReadiness({ store, driver, clock, shipDataDir: tmpdir(), ...values }) };
  }

  it('is given where the store can be written and ships have room, or no folder yet', async () => {
    expect(await open().ready()).toBeUndefined();
    expect(await open({ shipDataDir: '/nowhere/at/all' }).ready()).toBeUndefined();
  });

  it('says why the store cannot be written, and goes on when it can', async () => {
    const { clock, looks, ready } = open();
    looks.failure = new StatusError('DISK_FULL', 'the disk of the database is full');
    expect(await ready()).toBe('the disk of the database is full');
    looks.failure = undefined;
    clock.advanceSeconds(1);
    expect(await ready()).toBeUndefined();
  });

  it('says that ships have no room', async () => {
    // A file system that has none, whoever asks.
    expect(await open({ shipDataDir: '/proc' }).ready()).toBe('the disk of SHIP_DATA_DIR is full');
  });

  it('says that no ship can be made where the engine is away, and goes on when it is back', async () => {
    let away = true;
    const ping = async () => {
      if (away) throw new StatusError('DRIVER_UNAVAILABLE', 'docker does not answer (a ping)');
    };
    const { clock, ready } = open({ driver: { name: 'docker', ping } });
    expect(await ready()).toBe('no new ship can be made (docker): docker does not answer (a ping)');
    away = false;
    clock.advanceSeconds(1);
    expect(await ready()).toBeUndefined();
  });

  it('does not wait for an engine that hangs, whether it hears the signal or not', async () => {
    const { ready } = open({ driver: { name: 'docker', ping: () => new Promise(() => undefined) } });
    expect(await ready()).toBe('no new ship can be made (docker): no answer within 1000 ms');
  });

  it('looks once a second, however many ask', async () => {
    const { clock, looks, ready } = open();
    await Promise.all([ready(), ready(), ready()]);
    expect(looks.count).toBe(1);
    clock.advanceSeconds(1);
    await ready();
    expect(looks.count).toBe(2);
  });
});
