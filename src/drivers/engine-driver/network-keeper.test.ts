import { silentLog } from '../../telemetry/log.js';
import { parseNetworkAllow } from '../network-filter.js';
import { setFilter } from './filter.js';
import { findNetwork } from './network.js';
import { NetworkKeeper } from './network-keeper.js';
import { EngineShips } from './testing/engine-ships.js';
import { filtersOf, removeFilters } from './testing/filters-of.js';
import { testEngines, TEST_IMAGE, type TestEngine } from './testing/test-engines.js';

const { found, missing } = await testEngines();
const soon = () => AbortSignal.timeout(30_000);

for (const engine of found) describe(`network of ships over ${engine.title}`, () => over(engine));
for (const { title, why } of missing) it.skip(`network of ships over ${title} (${why})`, () => undefined);
if (found.length === 0 && missing.length === 0) it.todo('names at least one engine');

function over(subject: TestEngine): void {
  let ships: EngineShips;
  let rootless: boolean;
  beforeAll(async () => {
    ships = new EngineShips(subject);
    ({ rootless } = await ships.engine());
    await ships.driver.check(soon());
  }, 60_000);
  afterAll(() => ships[Symbol.asyncDispose](), 60_000);

  const filters = () => filtersOf(ships, ships.options.network);
  /** Without root there is no filter to keep. */
  const does = (what: string, test: () => Promise<void>) =>
    it(what, async () => (rootless ? undefined : test()), 60_000);

  does('puts a filter back that was removed from the machine, and says so', async () => {
    let tell: (message: string) => void;
    const told = new Promise<string>((resolve) => (tell = resolve));
    const logger = { ...silentLog, warn: (_: object, message: string) => tell(message) };
    const options = { ...ships.options, logger };
    const keeper = await NetworkKeeper.open({ engine: await ships.engine(), image: TEST_IMAGE, options }, soon());
    const before = await filters();
    expect(before).toHaveLength(2);
    await removeFilters(ships, ships.options.network);
    expect(await filters()).toEqual([]);
    keeper.doubt();
    expect(await told).toMatch(/filter of ships was gone/);
    expect(await filters()).toEqual(before);
    keeper.close();
  });

  does('removes the filter of a Bay in a container that is gone, as are its ships', async () => {
    const before = await filters();
    const engine = await ships.engine();
    const shipNetwork = await findNetwork(engine, ships.options.network, soon());
    if (!shipNetwork) throw new Error('the network is gone');
    const gone = { deploymentId: 'gone', bayContainerId: 'gone' };
    await setFilter({ engine, image: TEST_IMAGE, shipNetwork, allow: [], ...gone }, soon());
    expect(await filters()).toHaveLength(4);
    await ships.anotherDriver().check(soon());
    expect(await filters()).toEqual(before);
  });

  describe('where another deployment filters it', () => {
    const another = { deploymentId: 'another' };
    const refused = {
      reason: 'DRIVER_REFUSED',
      message: expect.stringMatching(/another deployment.*set DOCKER_NETWORK to a name of its own/) as string,
    };

    does('refuses to leave it open, and leaves the filter alone', async () => {
      const before = await filters();
      const open = ships.anotherDriver({ ...another, shipNetwork: 'open' });
      await expect(open.check(soon())).rejects.toMatchObject(refused);
      expect(await filters()).toEqual(before);
    });

    does('refuses exceptions of its own, and leaves the filter alone', async () => {
      const before = await filters();
      const shipNetworkAllow = parseNetworkAllow('10.1.2.3/32:80');
      await expect(ships.anotherDriver({ ...another, shipNetworkAllow }).check(soon())).rejects.toMatchObject(refused);
      expect(await filters()).toEqual(before);
    });

    does('filters it in the same way beside the other one, whose filter outlives its own', async () => {
      const before = await filters();
      await ships.anotherDriver(another).check(soon());
      expect(await filters()).toHaveLength(4);
      expect(await filters()).toEqual(expect.arrayContaining(before));
      await expect(ships.anotherDriver({ ...another, shipNetwork: 'open' }).check(soon())).rejects.toMatchObject(
        refused,
      );
      expect(await filters()).toEqual(expect.arrayContaining(before));
    });
  });

  does('opens the network of its own deployment, and filters it again', async () => {
    const network = `${ships.options.network}-own`;
    const { docker } = await ships.engine();
    for (const [shipNetwork, tables] of [
      ['internet', 2],
      ['open', 0],
      ['internet', 2],
    ] as const) {
      await ships.anotherDriver({ network, shipNetwork }).check(soon());
      expect(await filtersOf(ships, network)).toHaveLength(tables);
    }
    await docker.getNetwork(network).remove();
    await removeFilters(ships, network);
  });
}
