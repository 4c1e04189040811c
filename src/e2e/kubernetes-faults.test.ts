/** What a cluster may do to ships behind Bay's back, or refuse: each with the answer that a client gets, and nothing left. */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { OWN_CLUSTER_FOLDER } from '../drivers/kubernetes-driver/testing/test-cluster.js';
import { eventually } from './testing/processes.js';
import { readWithCuts } from './testing/read-with-cuts.js';
import { clusterDaemon, testCluster } from './testing/test-cluster.js';
import { TEST_DRIVER } from './testing/test-engine.js';
import { V1Calls } from './testing/v1-calls.js';

/** From a fault to an answer that is true. */
const TRUTH_MS = 10_000;
/** Until a wait that cannot end well is over. */
const SHORT_SECONDS = 6;
/** Until nothing is left of what a fault interrupted. */
const NO_ORPHANS_MS = 60_000;
const inCluster = TEST_DRIVER === 'kubernetes' ? describe : describe.skip;
const inOwnCluster = TEST_DRIVER === 'kubernetes' && OWN_CLUSTER_FOLDER ? describe : describe.skip;

const PRINTS = 6000;
/** Prints for a minute and a half, far longer than its readers are hindered. */
const unhurried = `import time\nfor i in range(${PRINTS}):\n    print(str(i).zfill(99))\n    if i % 20 == 0: time.sleep(0.3)`;
const printed = Buffer.from(Array.from({ length: PRINTS }, (_, i) => `${String(i).padStart(99, '0')}\n`).join(''));

inCluster('what a cluster refuses, as the answer of POST /ship', () => {
  const withBay = async (environment: Record<string, string>, act: (calls: V1Calls) => Promise<void>) => {
    const bay = await startOwnBay({ SHIP_HEALTH_CHECK_TIMEOUT: `${SHORT_SECONDS}`, ...environment });
    try {
      await act(new V1Calls(bay));
    } finally {
      await bay.stop();
    }
  };
  /** The cluster's own words, whether it may pass, and that nothing is kept of the ship. */
  const refuses = async (calls: V1Calls, answer: { status: number; reason: string; says: RegExp }, spec?: object) => {
    const response = await calls.post('/ship', 'refused', { ttl: 60, ...(spec ? { spec } : {}) });
    const text = await response.text();
    expect([response.status, text]).toEqual([answer.status, expect.stringMatching(answer.says) as string]);
    expect(response.headers.has('retry-after')).toBe(answer.status === 503);
    const v1 = await calls.post('/v1/ships', 'refused', { ttlSeconds: 60, ...(spec ? { spec } : {}) });
    expect(((await v1.json()) as { error: { reason: string } }).error.reason).toBe(answer.reason);
    await eventually('no ship is left', async () => (await calls.ships()).length === 0, TRUTH_MS);
    await eventually('the cluster has nothing of it', async () => (await testCluster().ofShips()).length === 0);
  };
  const START_FAILED = { status: 503, reason: 'SHIP_START_FAILED' };

  it.each([
    [
      'an image that does not exist',
      { DOCKER_IMAGE: 'nowhere/ship:1' },
      /(ErrImagePull|ImagePullBackOff).*nowhere\/ship:1/,
    ],
    ['a storage class that does not exist', { KUBE_STORAGE_CLASS: 'nowhere' }, /storageclass.*nowhere.* not found/i],
  ])('%s', (_what, environment, says) => withBay(environment, (calls) => refuses(calls, { ...START_FAILED, says })));

  it('a ship larger than any node, and a quota that is used up', () =>
    withBay({}, async (calls) => {
      const large = { cpus: 400, memory: '256m' };
      await refuses(calls, { ...START_FAILED, says: /Unschedulable: .*Insufficient cpu/ }, large);
      const cluster = testCluster();
      const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'used-up' } };
      const body = { ...quota, spec: { hard: { 'limits.memory': '1Mi' } } };
      await cluster.client.request('POST', cluster.path('resourcequotas'), { body });
      try {
        await refuses(calls, { ...START_FAILED, says: /exceeded quota: used-up/ });
      } finally {
        await cluster.remove('resourcequotas', 'used-up');
      }
    }));
});

inCluster('what becomes of a ship', () => {
  let bay: OwnBay;
  let calls: V1Calls;
  let sessions = 0;
  beforeAll(async () => {
    bay = await startOwnBay({ BAY_EPHEMERAL: '', MAX_SHIP_NUM: '30' });
    calls = new V1Calls(bay);
  }, 60_000);
  afterEach(async () => {
    for (const { shipId } of await calls.ships()) await calls.deleteShip(shipId);
    await eventually('the cluster has nothing of it', async () => (await testCluster().ofShips()).length === 0, 60_000);
  }, 120_000);
  afterAll(() => bay.stop(), 60_000);

  /** A ship with 3 MB of noise in a file, whose sum it knows. */
  const shipWithFile = async () => {
    const session = `fault ${(sessions += 1)}`;
    const ship = await calls.createShip(session);
    const work = calls.in(ship.shipId, session);
    const sum = await work.command('head -c 3000000 /dev/urandom > noise && sync && sha256sum noise');
    expect(sum).toMatch(/^[0-9a-f]{64} /);
    const hasFileAgain = async () => {
      expect((await calls.createShip(session)).shipId).toBe(ship.shipId);
      expect(await work.command('sha256sum noise')).toBe(sum);
    };
    return { ...ship, session, work, hasFileAgain };
  };
  const isStopped = (shipId: string) =>
    eventually(
      'Bay says that the ship stopped',
      async () => (await calls.ship(shipId)).state === 'SHIP_STATE_STOPPED',
      TRUTH_MS,
    );

  it.each([
    ['deleted', (pod: string) => testCluster().remove('pods', pod), /^its Pod was deleted$/],
    ['evicted', (pod: string) => testCluster().evict(pod), /^EvictionByEvictionAPI: /],
  ])(
    'whose Pod is %s during a cell: the reason is told, the end is true, the file is byte-equal',
    async (_what, harm, reason) => {
      const { shipId, containerId, work, hasFileAgain } = await shipWithFile();
      await work.begin('lost', "import time\nprint('begun', flush=True)\ntime.sleep(600)");
      await harm(containerId);
      await isStopped(shipId);
      expect((await calls.ship(shipId)).stateReason).toMatch(reason);
      await hasFileAgain();
      // The agent has the time to write down how its work ended.
      expect(await work.end('lost')).toMatchObject({ cause: 'CAUSE_SHIP_STOPPED', stdout: 'begun\n' });
    },
    120_000,
  );

  it('that stops, that expires, and whose Bay ends and comes back: the file is byte-equal', async () => {
    const { shipId, session, hasFileAgain } = await shipWithFile();
    await calls.post(`/v1/ships/${shipId}:stop`, session, {});
    await hasFileAgain();
    await calls.post(`/v1/ships/${shipId}:extendTtl`, session, { ttlSeconds: 1 });
    await isStopped(shipId);
    await hasFileAgain();
    await bay.kill();
    await bay.restart();
    await hasFileAgain();
  }, 120_000);

  it('in which a cell wants more memory than there is: its end says so', async () => {
    const { shipId, work, hasFileAgain } = await shipWithFile();
    await work.begin('hog', "print('begun', flush=True)\nkept = [b'x' * (1 << 24) for _ in range(1 << 12)]");
    await eventually(
      'the cell, or with it the whole container, has ended',
      async () =>
        (await calls.ship(shipId)).state === 'SHIP_STATE_STOPPED' ||
        (await work.state('hog')) === 'EXECUTION_STATE_ENDED',
      60_000,
    );
    const ship = await calls.ship(shipId);
    // Where the kernel ends all processes of a container together (cgroup v2), the ship's reason tells.
    if (ship.state === 'SHIP_STATE_STOPPED') expect(ship.stateReason).toMatch(/^out of memory: OOMKilled/);
    else expect(await work.end('hog')).toMatchObject({ outcome: 'kernelDied', cause: 'CAUSE_OOM', stdout: 'begun\n' });
    await hasFileAgain();
  }, 120_000);
});

inOwnCluster('while a part of the cluster is away', () => {
  let bay: OwnBay;
  let calls: V1Calls;
  beforeAll(async () => {
    bay = await startOwnBay({ BAY_EPHEMERAL: '', MAX_SHIP_NUM: '30' });
    calls = new V1Calls(bay);
  }, 60_000);
  afterAll(async () => {
    for (const { shipId } of await calls.ships()) await calls.deleteShip(shipId);
    await bay.stop();
  }, 120_000);
  const isEverything = async (shipId: string, session: string, id: string) =>
    (await readWithCuts(calls.in(shipId, session).attach(id), 100, () => sleep(200))).equals(printed);

  it('the kubelet, killed and back after 30 s: calls and cells go on, and a ship that was asked for comes', async () => {
    const { shipId } = await calls.createShip('kubelet');
    const work = calls.in(shipId, 'kubelet');
    await work.begin('on', unhurried);
    const kubelet = clusterDaemon('kubelet');
    await kubelet.end('SIGKILL');
    const asked = calls.createShip('kubelet, another');
    try {
      for (const late = AbortSignal.timeout(30_000); !late.aborted; await sleep(1000))
        expect(await work.command('echo here')).toBe('here\n');
    } finally {
      kubelet.start();
    }
    await calls.deleteShip((await asked).shipId);
    expect(await isEverything(shipId, 'kubelet', 'on')).toBe(true);
    expect((await calls.ship(shipId)).state).toBe('SHIP_STATE_RUNNING');
    await calls.deleteShip(shipId);
  }, 240_000);

  it('the API server, killed twenty times during creates, calls and deletes: no byte is lost, nothing is left', async () => {
    const { shipId } = await calls.createShip('steady');
    const work = calls.in(shipId, 'steady');
    await work.begin('on', unhurried);
    const over = new AbortController();
    const counts = { created: 0, refused: 0, deleted: 0, deletedLater: 0, called: 0 };
    /** One ship after the other; whatever fails because the server is away says so. */
    const lives = async (who: string) => {
      for (let i = 0; !over.signal.aborted; i += 1) {
        const session = `${who} ${i}`;
        const made = await calls.tryCreateShip(session);
        if (!made.shipId) {
          expect(made.reason).toMatch(/^(DRIVER_UNAVAILABLE|SHIP_START_FAILED)$/);
          counts.refused += 1;
          continue;
        }
        counts.created += 1;
        expect(await calls.in(made.shipId, session).command('echo lives')).toBe('lives\n');
        counts[(await calls.tryDeleteShip(made.shipId)) === 'deleted' ? 'deleted' : 'deletedLater'] += 1;
      }
    };
    /** What runs does not notice. */
    const goesOn = async () => {
      for (; !over.signal.aborted; await sleep(50)) {
        expect(await work.command('echo here')).toBe('here\n');
        counts.called += 1;
      }
    };
    const actors = [lives('one'), lives('two'), goesOn()];
    const whole = isEverything(shipId, 'steady', 'on');
    try {
      const broken = Promise.race(actors.map((actor) => actor.then(() => new Promise<never>(() => undefined))));
      broken.catch(() => undefined);
      for (let round = 0; round < 20; round += 1) {
        await Promise.race([sleep(randomInt(200, 6000)), broken]);
        const server = clusterDaemon('kube-apiserver');
        await server.end('SIGKILL');
        await sleep(randomInt(0, 500));
        server.start();
        await eventually('the API server is ready again', isServerReady, 60_000);
      }
    } finally {
      over.abort();
      await Promise.all(actors);
    }
    expect(await whole).toBe(true);
    console.log(`API server killed 20 times: ${JSON.stringify(counts)}`);
    expect(Math.min(counts.created, counts.deleted + counts.deletedLater, counts.called)).toBeGreaterThan(0);
    await eventually(
      'only the steady ship is left, in Bay',
      async () => (await calls.ships()).length === 1,
      NO_ORPHANS_MS,
    );
    await eventually('and in the cluster', async () => (await testCluster().ofShips()).length === 3, NO_ORPHANS_MS);
    await calls.deleteShip(shipId);
    await eventually('nothing is left', async () => (await testCluster().ofShips()).length === 0, NO_ORPHANS_MS);
  }, 600_000);
});

const isServerReady = async (): Promise<boolean> => {
  const { client } = testCluster();
  const answer = client.request('GET', '/api/v1/namespaces/default', { timeoutMs: 2000 });
  return answer.then(
    () => true,
    () => false,
  );
};
