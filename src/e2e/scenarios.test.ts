import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { SCENARIOS } from './scenarios.js';
import { openAllWays } from './ways/all-ways.js';
import type { Way } from './ways/way.js';

let bay: OwnBay;
let ways: Way[];

beforeAll(async () => {
  bay = await startOwnBay();
  ways = await openAllWays(bay);
}, 60_000);
afterAll(async () => {
  for (const way of ways ?? []) await way.close();
  await bay?.stop();
}, 30_000);

const NAMES = ['documented HTTP', 'HTTP /v1', 'gRPC', 'mux', 'mux on a socket'];

it('knows every way by name', () => {
  expect(ways.map((way) => way.name)).toEqual(NAMES);
});

describe.each(NAMES)('over %s', (name) => {
  let way: Way;
  let shipId: string;
  beforeAll(async () => {
    way = ways.find((candidate) => candidate.name === name) as Way;
    shipId = await way.createShip(`${name} 0`, { maxSessionNum: SCENARIOS.length + 1 });
  }, 60_000);
  afterAll(() => way.deleteShip(shipId), 30_000);

  it.each(SCENARIOS.map((scenario, index) => ({ ...scenario, index })))(
    '$name',
    async (scenario) => {
      if (!way.abilities.has(scenario.needs)) return expect(['file-streams']).toContain(scenario.needs);
      // Session ids are arbitrary text.
      const session = name.includes('HTTP') ? `scenario ${scenario.index}` : `scenario ${scenario.index} – ü/..`;
      expect(await way.createShip(session)).toBe(shipId);
      return scenario.run(way.in(shipId, session));
    },
    120_000,
  );
});
