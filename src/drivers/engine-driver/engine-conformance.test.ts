import type { Ship } from '../../ships/ship.js';
import { CONFORMANCE_TOKEN, driverConformance, type ConformanceSubject } from '../conformance.js';
import type { Driver } from '../driver.js';
import { containerName } from './labels.js';
import { helloOf, runIn } from '../testing/agent-client.js';
import { EngineShips } from './testing/engine-ships.js';
import { testEngines } from './testing/test-engines.js';

const { found, missing } = await testEngines();

for (const engine of found) {
  for (const shipNetwork of ['internet', 'none'] as const) {
    const make = () => conformanceSubject(new EngineShips(engine, { shipNetwork }));
    driverConformance(`${engine.title}, network ${shipNetwork}`, make, { timeoutMs: 60_000 });
  }
}
for (const { title, why } of missing) it.skip(`driver conformance: ${title} (${why})`, () => undefined);

function conformanceSubject(ships: EngineShips): ConformanceSubject {
  return {
    driver: ships.driver,
    anotherDriver: () => ships.anotherDriver(),
    ship: (id, values) => ships.ship(id, values),
    hello: (endpoint) => helloOf(endpoint, CONFORMANCE_TOKEN),
    run: (endpoint, command) => runIn(endpoint, CONFORMANCE_TOKEN, command),
    killAgent: async (_driver: Driver, ship: Ship) => {
      const { docker } = await ships.engine();
      await docker.getContainer(containerName(ships.options.deploymentId, ship)).kill();
    },
    [Symbol.asyncDispose]: () => ships[Symbol.asyncDispose](),
  };
}
