/** Run by nested.test.ts where there is no nft to filter with. */
import { testShip } from '../../testing/test-ship.js';
import { LocalShips } from './local-ships.js';

const ships = new LocalShips({ shipNetwork: undefined });
afterAll(() => ships[Symbol.asyncDispose]());
const soon = () => AbortSignal.timeout(20_000);

it('falls back to none, says why and what helps', async () => {
  const { network, warnings } = await ships.driver.check(soon());
  expect(network).toBe('none');
  expect(warnings.join()).toContain('apt-get install -y --no-install-recommends nftables');
  expect((await ships.start(testShip('offline'))).isolation?.network).toBe('none');
});

it('refuses a network that was asked for by name', async () => {
  await expect(ships.anotherDriver({ shipNetwork: 'internet' }).check(soon())).rejects.toMatchObject({
    reason: 'DRIVER_REFUSED',
    message: expect.stringContaining('nftables') as string,
  });
});
