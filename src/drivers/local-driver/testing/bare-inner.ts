/** Run by nested.test.ts where there is no bubblewrap. */
import type { Ship } from '../../../ships/ship.js';
import { isAlive, readProcess, waitUntilGone } from '../processes.js';
import { testShip } from '../../testing/test-ship.js';
import { LocalShips } from './local-ships.js';
import { askStub, type RunAnswer } from './stub-client.js';

let ships: LocalShips;
beforeEach(() => void (ships = new LocalShips({ isolation: 'none', shipNetwork: undefined })));
afterEach(() => ships[Symbol.asyncDispose]());
const soon = () => AbortSignal.timeout(20_000);
const alone = (id: string): Ship => testShip(id, { maxSessionNum: 1 });

it('refuses with the one line that helps', async () => {
  await expect(ships.anotherDriver({ isolation: 'auto' }).check(soon())).rejects.toMatchObject({
    reason: 'DRIVER_REFUSED',
    message: expect.stringContaining('apt-get install -y --no-install-recommends bubblewrap') as string,
  });
});

it('does not pretend to keep a network apart', async () => {
  const driver = ships.anotherDriver({ shipNetwork: 'none' });
  await expect(driver.check(soon())).rejects.toMatchObject({ reason: 'DRIVER_REFUSED' });
  expect(await ships.driver.check(soon())).toMatchObject({ network: 'open' });
});

it('says what is missing, and still ends all that descends from a ship', async () => {
  const ship = await ships.start(alone('plain'));
  expect(ship.isolation).toMatchObject({ kind: 'none', network: 'open' });
  expect(ship.isolation?.missing.join()).toContain('pid namespace');
  const endpoint = ships.driver.endpoint(ship.handle);
  const { stdout } = await askStub<RunAnswer>(endpoint, {
    ...{
      op: 'agent',
      argv: ['sh', '-c', 'sleep 60.7 > /dev/null 2>&1 & echo $!; setsid sleep 60.8 > /dev/null 2>&1 & echo $!'],
    },
  });
  const left = stdout
    .trim()
    .split('\n')
    .map((pid) => readProcess(Number(pid)));
  expect(left).not.toContain(undefined);
  await ships.driver.stop(ship, { signal: soon() });
  for (const process of left) if (process) await waitUntilGone(process, soon());
  expect(left.filter((process) => process && isAlive(process))).toEqual([]);
  expect(await ships.driver.inspect(ship)).toMatchObject({ state: 'gone' });
});

it('notices the end of the agent', async () => {
  const ship = await ships.start(alone('plain'));
  expect(await ships.anotherDriver().inspect(ship)).toEqual({ state: 'running' });
  const died = ships.driver.died?.(ship, soon());
  await askStub(ships.driver.endpoint(ship.handle), { op: 'exit', code: 6 }).catch(() => undefined);
  expect(await died).toEqual({ state: 'gone', reason: 'the agent ended with exit code 6' });
});
