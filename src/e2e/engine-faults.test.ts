/** Whatever becomes of a ship's container, or of the engine, behind Bay's back: the state is right, files are there, answers true. */
import type Docker from 'dockerode';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { eventually } from './testing/processes.js';
import { restartEngine } from './testing/restart-engine.js';
import { TEST_DRIVER, testEngine } from './testing/test-engine.js';
import { V1Calls } from './testing/v1-calls.js';
import { v1Http } from './ways/v1-http.js';
import type { Way } from './ways/way.js';

/** From a fault to an answer that is true. */
const TRUTH_MS = 5_000;
const docker = testEngine();
const onEngine = docker ? describe : describe.skip;

onEngine(`faults behind Bay's back, driver ${TEST_DRIVER}`, () => {
  let bay: OwnBay;
  let way: Way;
  let sessions = 0;
  beforeAll(async () => {
    bay = await startOwnBay({ BAY_EPHEMERAL: '' });
    way = v1Http(bay);
  }, 60_000);
  afterAll(async () => {
    const { ships } = await get<{ ships?: { shipId: string }[] }>('/v1/ships');
    for (const { shipId } of ships ?? []) await way.deleteShip(shipId);
    await bay?.stop();
  }, 60_000);

  const headers = () => ({ authorization: `Bearer ${bay.token}` });
  const get = async <T>(path: string): Promise<T> =>
    (await fetch(`${bay.url}${path}`, { headers: headers() })).json() as Promise<T>;
  const stateOf = async (shipId: string) =>
    get<{ state: string; stateReason?: string; containerId: string }>(`/v1/ships/${shipId}`);

  /** A ship with a file, and what the engine has of it. */
  const shipWithFile = async () => {
    const session = `fault ${(sessions += 1)}`;
    const shipId = await way.createShip(session, { ttlSeconds: 900 });
    await way.in(shipId, session).writeFile('kept.txt', 'kept');
    const { containerId } = await stateOf(shipId);
    return { session, shipId, container: (docker as Docker).getContainer(containerId) };
  };
  const isStopped = (shipId: string) =>
    eventually(
      'Bay says that the ship stopped',
      async () => (await stateOf(shipId)).state === 'SHIP_STATE_STOPPED',
      TRUTH_MS,
    );
  const hasFileAgain = async (session: string, shipId: string) => {
    expect(await way.createShip(session, { ttlSeconds: 900 })).toBe(shipId);
    expect(await way.in(shipId, session).readFile('kept.txt')).toBe('kept');
  };

  it.each([
    ['killed', (container: Docker.Container) => container.kill()],
    ['stopped', (container: Docker.Container) => container.stop({ t: 0 })],
    ['removed', (container: Docker.Container) => container.remove({ force: true })],
  ])(
    'a container that is %s: the ship is stopped, and comes back with its files',
    async (_what, harm) => {
      const { session, shipId, container } = await shipWithFile();
      await harm(container);
      await isStopped(shipId);
      expect((await stateOf(shipId)).stateReason).not.toBe('');
      await hasFileAgain(session, shipId);
    },
    60_000,
  );

  it('a container that is paused: the ship goes on, with what its kernel knows', async () => {
    const { session, shipId, container } = await shipWithFile();
    await way.in(shipId, session).runCell('known = 42');
    await container.pause();
    const began = performance.now();
    expect((await way.in(shipId, session).runCell('known')).text).toBe('42');
    expect(performance.now() - began).toBeLessThan(TRUTH_MS);
    expect((await stateOf(shipId)).state).toBe('SHIP_STATE_RUNNING');
  }, 60_000);

  it('work that dies for want of memory: its end says so, and the ship goes on', async () => {
    const session = 'hog';
    const calls = new V1Calls(bay);
    const { shipId = '' } = await calls.tryCreateShip(session, { cpus: 1, memory: '256m' });
    const run = (start: object) =>
      calls.json<{ ended: object }>('POST', `/v1/ships/${shipId}/executions:run`, session, { start });
    const cell = await run({ cell: { code: 'hog = bytearray(1_000_000_000)' } });
    expect(cell.ended).toMatchObject({ cause: 'CAUSE_OOM', kernelDied: { signal: 'SIGKILL' } });
    const command = await run({ command: { command: 'head -c 1G /dev/zero | tail > /dev/null; exit $?' } });
    expect(command.ended).toMatchObject({ exited: { code: 137 } });
    const { ended } = await run({ command: { command: 'exec tail /dev/zero' } });
    expect(ended).toMatchObject({ cause: 'CAUSE_OOM', signaled: { name: 'SIGKILL' } });
    expect((await way.in(shipId, session).runCell('1 + 1')).text).toBe('2');
  }, 60_000);

  it('an agent that dies for want of memory: the reason says so', async () => {
    const { session, shipId, container } = await shipWithFile();
    await starve(container);
    await isStopped(shipId);
    // Podman's monitor ends with the container and often misses why; without evidence want of memory is not claimed.
    const reason = TEST_DRIVER.startsWith('podman') ? /out of memory|ended by signal 9/ : /out of memory/;
    expect((await stateOf(shipId)).stateReason).toMatch(reason);
    await hasFileAgain(session, shipId);
  }, 60_000);

  it('a call in the very moment of an expiry: the ship comes back with its files', async () => {
    const { session, shipId } = await shipWithFile();
    for (let round = 0; round < 3; round += 1) {
      expect(await way.createShip(session, { ttlSeconds: 1 })).toBe(shipId);
      await eventually('the ship is being stopped', async () => (await stateOf(shipId)).state !== 'SHIP_STATE_RUNNING');
      await hasFileAgain(session, shipId);
    }
  }, 120_000);

  it('an engine that is restarted: what it ended is told, what lives goes on, files are there', async () => {
    const { session, shipId } = await shipWithFile();
    if (!(await restartEngine(docker as Docker))) return console.warn('not ours to restart: this engine is left alone');
    await eventually(
      'Bay knows again what is so',
      async () => {
        const { state } = await stateOf(shipId);
        if (state === 'SHIP_STATE_STOPPED') return true;
        const answer = way.in(shipId, session).readFile('kept.txt');
        return (await answer.catch(() => undefined)) === 'kept';
      },
      TRUTH_MS,
    );
    await hasFileAgain(session, shipId);
  }, 120_000);
});

/** Takes all of the container's memory, after the kernel was told to end the agent first. */
async function starve(container: Docker.Container): Promise<void> {
  const agent =
    'for each in /proc/[0-9]*; do grep -q shipyard/agen[t] $each/cmdline && echo 1000 > $each/oom_score_adj; done';
  const exec = await container.exec({ Cmd: ['sh', '-c', `${agent} 2> /dev/null; head -c 1G /dev/zero | tail`] });
  await exec.start({ Detach: true });
}
