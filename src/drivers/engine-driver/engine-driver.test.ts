import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { CONFORMANCE_TOKEN } from '../conformance.js';
import type { Ship } from '../../ships/ship.js';
import { parseNetworkAllow } from '../network-filter.js';
import { inFull } from '../system-error.js';
import { createEngineDriver } from './index.js';
import { helloOf, runIn } from '../testing/agent-client.js';
import { containerName } from './labels.js';
import { Door } from './testing/door.js';
import { EngineShips } from './testing/engine-ships.js';
import { filtersOf } from './testing/filters-of.js';
import { testEngines, type TestEngine } from './testing/test-engines.js';

const { found, missing } = await testEngines();
const soon = () => AbortSignal.timeout(30_000);

for (const engine of found)
  describe(`engine driver over ${engine.title}`, () => {
    over(engine);
  });

function over(engine: TestEngine): void {
  let ships: EngineShips;
  beforeAll(async () => {
    ships = new EngineShips(engine);
    await ships.driver.check(soon());
  }, 60_000);
  afterAll(() => ships[Symbol.asyncDispose](), 60_000);

  const run = (ship: Ship, command: string) =>
    runIn(ships.driver.endpoint(ship.handle ?? {}), CONFORMANCE_TOKEN, command);
  const container = async (ship: Ship) => {
    const { docker } = await ships.engine();
    return docker.getContainer(containerName(ships.options.deploymentId, ship));
  };
  const using = async (id: string, use: (ship: Awaited<ReturnType<EngineShips['start']>>) => Promise<void>) => {
    const ship = await ships.start(ships.ship(id));
    try {
      await use(ship);
    } finally {
      await ships.driver.stop(ship, { signal: soon() });
    }
  };
  const does = (what: string, test: () => Promise<void>) => it(what, test, 60_000);

  does(
    'gives the agent no right but to become a user, and nothing that can be written but its data and memory',
    async () => {
      await using('hardened', async (ship) => {
        const { HostConfig, Config, Mounts } = await (await container(ship)).inspect();
        expect(HostConfig.ReadonlyRootfs).toBe(true);
        expect(JSON.stringify([Config, HostConfig])).not.toContain(CONFORMANCE_TOKEN);
        expect(Mounts.filter(({ Type }) => Type === 'bind').map(({ Destination }) => Destination)).toEqual(['/ship']);
        const { stdout } = await run(ship, 'grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/1/status; ulimit -n');
        expect(stdout).toMatch(/^CapBnd:\s+00000000000000c0$/m);
        expect(stdout).toMatch(/^NoNewPrivs:\s+1$/m);
        expect(stdout).toMatch(/^Seccomp:\s+2$/m);
        expect((await run(ship, 'touch /opt/x /etc/x /usr/x')).code).not.toBe(0);
        for (const [, bindings] of Object.entries((await (await container(ship)).inspect()).NetworkSettings.Ports))
          for (const { HostIp } of bindings ?? []) expect(HostIp).toBe('127.0.0.1');
      });
    },
  );

  does('gives ships no IPv6, whatever their network has', async () => {
    const { docker, rootless } = await ships.engine();
    if (rootless) return;
    const both = new EngineShips(engine);
    const Name = both.options.network;
    const IPAM = { Config: [{ Subnet: 'fd5a:5a5a::/64' }] };
    await docker.createNetwork({ Name, Driver: 'bridge', EnableIPv6: true, IPAM });
    try {
      const ship = await both.start(both.ship('four'));
      const endpoint = both.driver.endpoint(ship.handle);
      const { stdout } = await runIn(endpoint, CONFORMANCE_TOKEN, 'cat /proc/net/if_inet6; echo none');
      expect(stdout).toBe('none\n');
    } finally {
      await both[Symbol.asyncDispose]();
    }
  });

  does('keeps the folder of all ships to Bay', async () => {
    expect(statSync(ships.options.shipDataDir).mode & 0o777).toBe(0o700);
  });

  describe('with a filtered network', () => {
    let listening: Server[];
    let ports: number[];
    const machine = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
    const listen = () =>
      createServer((socket) => void socket.on('error', () => undefined).end('reached')).listen(0, '0.0.0.0');
    beforeAll(async () => {
      listening = [1, 2].map(() => listen());
      await Promise.all(listening.map((server) => once(server, 'listening')));
      ports = listening.map((server) => (server.address() as AddressInfo).port);
    });
    afterAll(() => listening.forEach((server) => server.close()));

    /** Which of these a ship can open a connection to. */
    const reached = async (ship: Ship, targets: readonly string[]) => {
      const tries = targets.map((at) => `timeout 3 bash -c "< /dev/tcp/${at.replace(':', '/')}" && echo ${at}`);
      const { stdout } = await run(ship, `(${tries.join('; ')}) 2> /dev/null; true`);
      return stdout.split('\n').filter((line) => line !== '');
    };

    does('keeps ships from each other, the machine, private networks and the metadata address', async () => {
      await using('one', (one) =>
        using('two', async (two) => {
          if (one.isolation?.network !== 'internet') return;
          const closed = [
            '169.254.169.254:80',
            '10.1.2.3:80',
            '172.16.0.9:80',
            '192.168.1.1:80',
            `${machine}:${ports[0]}`,
          ];
          expect(await reached(one, [`${two.started.ipAddress}:8123`, ...closed])).toEqual([]);
          expect(await helloOf(ships.driver.endpoint(two.handle), CONFORMANCE_TOKEN)).toMatchObject({ shipId: 'two' });
        }),
      );
    });

    does('opens the exceptions that were asked for, and no more', async () => {
      const shipNetworkAllow = parseNetworkAllow(`${machine}:${ports[0]}`);
      const driver = ships.anotherDriver({ shipNetworkAllow });
      await driver.check(soon());
      await using('allowed', async (ship) => {
        if (ship.isolation?.network !== 'internet') return;
        const both = ports.map((port) => `${machine}:${port}`);
        expect(await reached(ship, both)).toEqual([both[0]]);
      });
      await driver.close?.(); // so that it sets its filter no more
      await ships.anotherDriver().check(soon()); // back to none, for whoever comes next
    });

    does('filters the network also where it was gone, or was made anew by somebody else', async () => {
      const { docker, rootless } = await ships.engine();
      if (rootless) return; // ships have no network
      const Name = ships.options.network;
      for (const remake of [() => Promise.resolve(), () => docker.createNetwork({ Name, Driver: 'bridge' })]) {
        await docker.getNetwork(Name).remove();
        await remake();
        await using('anew', (ship) =>
          using('neighbour', async (other) => {
            const closed = [`${other.started.ipAddress}:8123`, `${machine}:${ports[0]}`];
            expect(await reached(ship, closed)).toEqual([]);
          }),
        );
      }
    });
  });

  does('removes the filter of a network that is gone', async () => {
    const { docker, rootless } = await ships.engine();
    if (rootless) return;
    const network = `${ships.options.network}-old`;
    await ships.anotherDriver({ network }).check(soon());
    expect(await filtersOf(ships, network)).toHaveLength(2);
    await docker.getNetwork(network).remove();
    await ships.anotherDriver().check(soon());
    expect(await filtersOf(ships, network)).toEqual([]);
  });

  does('sets a ship going again that was paused behind its back', async () => {
    const { rootless, limits } = await ships.engine();
    if (rootless && !limits.pids) return; // without a control group of its own no container can be paused
    await using('paused', async (ship) => {
      await run(ship, 'echo kept > file');
      await (await container(ship)).pause();
      expect(await run(ship, 'cat file')).toMatchObject({ stdout: 'kept\n' });
    });
  });

  does('tells at once of a container that was removed', async () => {
    await using('removed', async (ship) => {
      const died = ships.driver.died?.(ship, soon());
      await (await container(ship)).remove({ force: true });
      expect(await died).toMatchObject({ state: 'gone' });
    });
  });

  does('tells a death for want of memory from a kill', async () => {
    await using('oom', async (ship) => {
      if (!ship.isolation?.limits.includes('memory')) return;
      const died = ships.driver.died?.(ship, soon());
      // What a session takes too much of ends the session's process, and the ship lives on.
      await run(ship, 'head -c 1G /dev/zero | tail > /dev/null');
      expect(await ships.driver.inspect(ship)).toEqual({ state: 'running' });
      await (await container(ship)).kill();
      expect(await died).not.toHaveProperty('oom');
    });
  });

  does('starts an incarnation again that an interrupted start left behind', async () => {
    const row = ships.ship('again');
    const left = await ships.start(row);
    await using('again', async (ship) => expect(ship.handle.containerId).not.toBe(left.handle.containerId));
  });

  does('tells callers of a failed start neither what the engine said nor what the agent wrote', async () => {
    const refused = await failureOf(ships.start({ ...ships.ship('unnamed'), id: 'not@name' }));
    expect(refused.message).not.toContain('a-zA-Z0-9');
    expect(inFull(refused)).toContain('a-zA-Z0-9'); // what names there may be

    const misled = ships.anotherDriver({ shipLogMaxBytes: -1 });
    const ended = await failureOf(ships.start(ships.ship('misled'), misled));
    expect(ended).toMatchObject({ reason: 'DRIVER_REFUSED' }); // it would end so again
    expect(ended.message).not.toContain('shipLogMaxBytes');
    expect(inFull(ended)).toContain('shipLogMaxBytes');
  });

  does('says that the engine is away, and when it is back', async () => {
    const { signal } = new AbortController();
    await using door = await Door.to(engine.host);
    const away = new EngineShips({ ...engine, host: door.host });
    try {
      await away.driver.check(soon());
      await away.driver.ping?.(signal);
      await door.shut();
      await expect(away.driver.ping?.(signal)).rejects.toMatchObject({
        reason: 'DRIVER_UNAVAILABLE',
        message: expect.stringMatching(/^(docker|podman) does not answer \(a ping\)$/) as string,
      });
      await door.open();
      // Each try may still take a connection of before, which is used up by it.
      let answers = false;
      for (let tries = 0; !answers && tries < 20; tries++) {
        answers =
          (await away.driver.ping?.(signal).then(
            () => true,
            () => false,
          )) === true;
      }
      expect(answers).toBe(true);
    } finally {
      await away[Symbol.asyncDispose]();
    }
  });

  does('says where it looked for an engine, and what to do', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'se-'));
    const nowhere = `unix://${path.join(folder, 'none.sock')}`;
    const driver = createEngineDriver({ ...ships.options, addresses: { dockerHost: nowhere, containerHost: nowhere } });
    await expect(driver.check(soon())).rejects.toMatchObject({
      reason: 'DRIVER_UNAVAILABLE',
      message: expect.stringMatching(
        /none\.sock: nothing answers there; start .*, or set (DOCKER|CONTAINER)_HOST/,
      ) as string,
    });
    rmSync(folder, { recursive: true });
  });

  does('names the remedy for an image that is not there, and for one that is no ship', async () => {
    const missing = ships.anotherDriver({ image: 'localhost/no-such-image:1' });
    await expect(missing.check(soon())).rejects.toMatchObject({
      reason: 'DRIVER_REFUSED',
      message: expect.stringMatching(/localhost\/no-such-image:1 is not there.*npm run images/) as string,
    });
  });

  does('refuses a folder of data that no engine could mount', async () => {
    const driver = ships.anotherDriver({ shipDataDir: path.join(ships.folder, 'a:b') });
    const why = /a:b cannot be mounted .* has a colon/;
    await expect(driver.check(soon())).rejects.toMatchObject({
      reason: 'DRIVER_REFUSED',
      message: expect.stringMatching(why) as string,
    });
  });

  describe('a ship whose container was renamed behind its back', () => {
    const renamed = async (id: string) => {
      const ship = await ships.start(ships.ship(id));
      const found = await container(ship);
      await found.rename({ name: `${ships.options.network}-${id}` });
      const { docker } = await ships.engine();
      return { ship, byId: docker.getContainer(ship.started.containerId) };
    };

    does('goes on, and is stopped', async () => {
      const { ship, byId } = await renamed('renamed');
      expect(await ships.driver.inspect(ship)).toMatchObject({ state: 'running' });
      await ships.driver.stop(ship, { signal: soon() });
      await expect(byId.inspect()).rejects.toMatchObject({ statusCode: 404 });
    });

    does('is stopped by its labels where nothing else is known of it', async () => {
      const { ship, byId } = await renamed('unknown');
      await ships.driver.stop({ ...ship, handle: undefined }, { signal: soon() });
      await expect(byId.inspect()).rejects.toMatchObject({ statusCode: 404 });
    });
  });

  does('refuses a runtime that the engine does not have', async () => {
    const driver = ships.anotherDriver({ runtime: 'no-such-runtime' });
    await expect(driver.check(soon())).rejects.toMatchObject({ reason: 'DRIVER_REFUSED' });
  });
}

for (const { title, why } of missing) it.skip(`engine driver over ${title} (${why})`, () => undefined);
if (found.length === 0 && missing.length === 0) it.todo('names at least one engine');

const failureOf = (act: Promise<unknown>): Promise<Error> =>
  act.then(
    () => Promise.reject(new Error('it went well')),
    (error: Error) => error,
  );
