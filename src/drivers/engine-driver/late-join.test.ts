import { silentLog } from '../../telemetry/log.js';
import { CONFORMANCE_TOKEN } from '../conformance.js';
import { runIn } from '../testing/agent-client.js';
import { findEngine } from './engine.js';
import { containerName } from './labels.js';
import { kindOf } from './options.js';
import { Door } from './testing/door.js';
import { EngineShips } from './testing/engine-ships.js';
import { testEngines, type TestEngine } from './testing/test-engines.js';

const { found, missing } = await testEngines();
const soon = () => AbortSignal.timeout(30_000);
const isDocker = ({ mode }: Pick<TestEngine, 'mode'>) => kindOf(mode) === 'docker';

for (const engine of found.filter(isDocker)) describe(`late joins over ${engine.title}`, () => over(engine));
for (const { title } of found.filter((engine) => !isDocker(engine)))
  it.skip(`late joins over ${title} (Podman puts no container on a network that had none)`, () => undefined);
for (const { title, why } of missing) it.skip(`late joins over ${title} (${why})`, () => undefined);
if (found.length === 0 && missing.length === 0) it.todo('names at least one engine');

function over(engine: TestEngine): void {
  const does = (what: string, test: () => Promise<void>) => it(what, test, 60_000);
  /** Ships of an engine whose calls somebody sees first, by their first lines. */
  const behind = async (
    passes: (line: string, ships: EngineShips) => boolean | Promise<boolean>,
    use: (ships: EngineShips, warnings: readonly string[]) => Promise<void>,
  ) => {
    const warnings: string[] = [];
    const logger = { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) };
    await using door = await Door.to(engine.host, (line) => passes(line, judged));
    const judged: EngineShips = new EngineShips({ ...engine, host: door.host }, { logger });
    try {
      await judged.driver.check(soon());
      await use(judged, warnings);
    } finally {
      await judged[Symbol.asyncDispose]();
    }
  };
  const isConnect = (line: string) => /^POST [^ ]*\/networks\/[^/]+\/connect/.test(line);

  does('starts them with it where the engine does not', () =>
    behind(
      (line) => !/^POST [^ ]*\/networks\/none\/disconnect/.test(line),
      async (refusing, warnings) => {
        for (const id of ['first', 'second', 'third', 'fourth']) {
          const ship = await refusing.start(refusing.ship(id));
          const endpoint = refusing.driver.endpoint(ship.handle);
          expect(endpoint).toMatchObject({ host: ship.started.ipAddress });
          expect(await runIn(endpoint, CONFORMANCE_TOKEN, 'echo up')).toMatchObject({ stdout: 'up\n' });
          await refusing.driver.stop(ship, { signal: soon() });
        }
        expect(warnings).toEqual([expect.stringMatching(/does not put running ships on their network/)]);
      },
    ),
  );

  does('says that it may pass where a container is gone before', () =>
    behind(
      async (line, { options }) => {
        if (isConnect(line)) {
          const { docker } = await findEngine('docker', { dockerHost: engine.host }, soon());
          await docker.getContainer(containerName(options.deploymentId, { id: 'gone', incarnation: 1 })).remove({
            force: true,
          });
        }
        return true;
      },
      async (judged) => {
        await expect(judged.start(judged.ship('gone'))).rejects.toMatchObject({ reason: 'SHIP_START_FAILED' });
      },
    ),
  );

  does('never puts them on another network of the same name', () => {
    let remade = false;
    return behind(
      async (line, { options }) => {
        if (isConnect(line) && !remade) {
          remade = true;
          const { docker } = await findEngine('docker', { dockerHost: engine.host }, soon());
          await docker.getNetwork(options.network).remove();
          await docker.createNetwork({ Name: options.network, Driver: 'bridge' });
        }
        return true;
      },
      async (judged) => {
        await expect(judged.start(judged.ship('moved'))).rejects.toMatchObject({ reason: 'DRIVER_UNAVAILABLE' });
        await judged.start(judged.ship('moved'));
      },
    );
  });
}
