import { EngineShips } from './testing/engine-ships.js';
import { testEngines, type TestEngine } from './testing/test-engines.js';

const { found, missing } = await testEngines();
const soon = () => AbortSignal.timeout(30_000);

for (const engine of found) describe(`where Bay reaches ships over ${engine.title}`, () => over(engine));
for (const { title, why } of missing) it.skip(`where Bay reaches ships over ${title} (${why})`, () => undefined);
if (found.length === 0 && missing.length === 0) it.todo('names at least one engine');

function over(engine: TestEngine): void {
  let ships: EngineShips;
  beforeAll(async () => {
    ships = new EngineShips(engine);
    await ships.driver.check(soon());
  }, 60_000);
  afterAll(() => ships[Symbol.asyncDispose](), 60_000);
  const does = (what: string, test: () => Promise<void>) => it(what, test, 60_000);

  does(
    'is a port of the machine, on 127.0.0.1, only where it does not reach ships at their own addresses',
    async () => {
      const { docker, kind, rootless } = await ships.engine();
      const ship = await ships.start(ships.ship('reached'));
      const endpoint = ships.driver.endpoint(ship.handle);
      if (endpoint.kind !== 'tcp') return; // it has no network
      const { NetworkSettings } = await docker.getContainer(ship.started.containerId ?? '').inspect();
      const bound = Object.values(NetworkSettings.Ports).flatMap((bindings) => bindings ?? []);
      if (kind === 'docker' && !rootless) expect(endpoint.host).toBe(ship.started.ipAddress);
      const port = { HostIp: '127.0.0.1', HostPort: String(endpoint.port) };
      expect(bound).toEqual(endpoint.host === port.HostIp ? [port] : []);
    },
  );

  does('is found on a network that is configured by its id', async () => {
    const { docker, rootless, kind } = await ships.engine();
    if (rootless || kind === 'podman') return; // whose ids are made of names
    const { Id } = (await docker.getNetwork(ships.options.network).inspect()) as { Id: string };
    const driver = ships.anotherDriver({ network: Id.slice(0, 12) });
    const ship = await ships.start(ships.ship('by-id'), driver);
    expect(ship.started.ipAddress).toMatch(/^\d+\./);
    expect((await driver.list()).find(({ shipId }) => shipId === 'by-id')?.handle).toHaveProperty('endpoint');
    await driver.stop(ship, { signal: soon() });
  });
}
