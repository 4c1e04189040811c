import { afterEach, describe, expect, it } from '@jest/globals';
import { startTestBay, type TestBay } from '../testing/start-test-bay.js';
import { refuseShipsOfOthers } from './other-drivers.js';
import { ensureStopped } from './stop-ship.js';

describe('a Bay with another driver on the same database', () => {
  let bay: TestBay;
  afterEach(() => bay.end());

  const stop = (id: string) => ensureStopped(bay.deps, id, { reason: 'a test', signal: AbortSignal.timeout(10_000) });

  it.each([
    ['local', 'docker-host'],
    ['docker-host', 'local'],
    ['docker', 'podman'],
  ])('does not start while ships of %s live, where it is to use %s', async (made, now) => {
    bay = await startTestBay();
    bay.driver.name = made;
    await bay.createShip('a');
    await bay.createShip('b');
    bay.driver.name = now;
    await expect(refuseShipsOfOthers(bay.deps)).rejects.toMatchObject({
      reason: 'DRIVER_REFUSED',
      message: expect.stringMatching(
        new RegExp(`^2 ships live with ${made}, and .*CONTAINER_DRIVER=${made} npm run stop -- --all`),
      ),
    });
  });

  it.each([
    ['docker', 'docker-host'],
    ['podman-host', 'podman'],
  ])('goes on with ships of %s as %s, which is the same engine', async (made, now) => {
    bay = await startTestBay();
    bay.driver.name = made;
    await bay.createShip('a');
    bay.driver.name = now;
    await refuseShipsOfOthers(bay.deps);
  });

  it('starts where they are stopped, and does not give their files to users who cannot have them', async () => {
    bay = await startTestBay();
    bay.driver.name = 'local';
    const { shipId } = await bay.createShip('a');
    await stop(shipId);
    bay.driver.name = 'docker';
    await refuseShipsOfOthers(bay.deps);
    await expect(bay.createShip('a')).rejects.toMatchObject({
      reason: 'DRIVER_REFUSED',
      message: expect.stringContaining(`ship ${shipId}, which local made and docker cannot restore`),
    });
    expect(await bay.createShip('b')).toMatchObject({ incarnation: 1 });
  });

  it('restores what Docker made with Podman, which keeps files alike', async () => {
    bay = await startTestBay();
    bay.driver.name = 'docker';
    const { shipId } = await bay.createShip('a');
    await stop(shipId);
    bay.driver.name = 'podman-host';
    expect(await bay.createShip('a')).toMatchObject({ shipId, incarnation: 2 });
  });
});
