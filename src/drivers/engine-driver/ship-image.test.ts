import { unless } from '../../../scripts/lib/unless.mjs';
import { CONFORMANCE_TOKEN } from '../conformance.js';
import { testShip } from '../testing/test-ship.js';
import { agentConfigFor } from './agent-config.js';
import { attachToContainer } from './attach-container.js';
import { bounded, findEngine } from './engine.js';
import { kindOf } from './options.js';
import { TEST_IMAGE, testEngines } from './testing/test-engines.js';

const { found } = await testEngines();
const docker = found.find(({ mode }) => kindOf(mode) === 'docker');
const why = docker ? undefined : "no Docker here; Podman's checks are systemd's timers";

/** The image's own check, twice a second; the engine counts in nanoseconds. */
const OFTEN = { Interval: 5e8, Timeout: 5e9, Retries: 1, StartPeriod: 0 };
/** As Dockerfile.ship tells people to start it. */
const BY_HAND = {
  CapDrop: ['ALL'],
  CapAdd: ['SETUID', 'SETGID'],
  SecurityOpt: ['no-new-privileges'],
  ReadonlyRootfs: true,
  Tmpfs: { '/ship': '', '/tmp': 'mode=1777', '/var/tmp': 'mode=1777', '/run': 'mode=755' },
};

describe('the image of ships, started by hand', () => {
  /** What the engine says once it has looked. */
  const healthOf = async (stdin: string, command: { Cmd?: string[] } = {}): Promise<string | undefined> => {
    const { host } = docker ?? { host: '' };
    const engine = await findEngine('docker', { dockerHost: host }, bounded());
    const container = await engine.docker.createContainer({
      ...command,
      Image: TEST_IMAGE,
      OpenStdin: true,
      StdinOnce: true,
      Healthcheck: OFTEN,
      HostConfig: BY_HAND,
    });
    try {
      await attachToContainer(engine, container.id, stdin, bounded());
      await container.start();
      const deadline = bounded();
      for (;;) {
        const { State } = await container.inspect({ abortSignal: deadline });
        if (State.Health?.Status !== 'starting') return State.Health?.Status;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await container.remove({ force: true, v: true });
    }
  };

  unless(why, it)('is healthy while its agent answers', async () => {
    const place = { network: 'internet', environment: {} } as const;
    const config = agentConfigFor(testShip('by-hand'), { token: CONFORMANCE_TOKEN }, place, { ephemeral: false });
    expect(await healthOf(JSON.stringify(config))).toBe('healthy');
  });

  unless(why, it)('is unhealthy where nobody answers', async () => {
    expect(await healthOf('', { Cmd: ['sleep', '60'] })).toBe('unhealthy');
  });
});
