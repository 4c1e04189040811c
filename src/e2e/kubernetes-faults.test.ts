/** What a cluster may do to ships behind Bay's back, or refuse: each with the answer that a client gets, and nothing left. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { eventually } from './testing/processes.js';
import { makeShipWithFile } from './testing/ship-with-file.js';
import { testCluster } from './testing/test-cluster.js';
import { TEST_DRIVER } from './testing/test-engine.js';
import { V1Calls } from './testing/v1-calls.js';

/** From a fault to an answer that is true. */
const TRUTH_MS = 10_000;
/** Until a wait that cannot end well is over. */
const SHORT_SECONDS = 6;
const inCluster = TEST_DRIVER === 'kubernetes' ? describe : describe.skip;

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

  describe('at once, however long a caller would wait', () => {
    const REFUSED = { status: 500, reason: 'DRIVER_REFUSED' };
    const small = { cpus: 0.1, memory: '128m' };
    let folder: string;
    beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'shipyard-test-'))));
    afterAll(() => rmSync(folder, { recursive: true }));
    const neverPulled = () => {
      const file = path.join(folder, 'template.json');
      writeFileSync(file, JSON.stringify({ spec: { containers: [{ name: 'ship', imagePullPolicy: 'Never' }] } }));
      return { DOCKER_IMAGE: 'nowhere/ship:1', KUBE_POD_TEMPLATE: file };
    };

    it.each([
      ['an image that may not be pulled', neverPulled, /ErrImageNeverPull/],
      [
        'what admission does not let in',
        () => ({ KUBE_RUNTIME_CLASS: 'nowhere' }),
        /RuntimeClass .*nowhere.* not found/,
      ],
    ])('%s', (_what, environment, says) =>
      withBay({ ...environment(), SHIP_HEALTH_CHECK_TIMEOUT: '600' }, (calls) =>
        refuses(calls, { ...REFUSED, says }, small),
      ),
    );
  });

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

  const shipWithFile = () => makeShipWithFile(calls, `fault ${(sessions += 1)}`);
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

  it('whose Pod is deleted by force during a cell: its reader is told to go on, and the end is true', async () => {
    const { shipId, containerId, work, hasFileAgain } = await shipWithFile();
    await work.begin('torn', "import time\nprint('begun', flush=True)\ntime.sleep(600)");
    const reading = (await work.attach('torn')(0, AbortSignal.timeout(60_000))).text();
    await testCluster().remove('pods', containerId, { gracePeriodSeconds: 0 });
    // Whether the agent still has the time to tell the end is the node's choice.
    const last = JSON.parse((await reading).trim().split('\n').at(-1) ?? '') as object;
    if (!('ended' in last)) {
      const error = { reason: 'SHIP_NOT_RUNNING', details: { next_sequence: 4 } };
      expect(last).toMatchObject({ error });
    }
    await isStopped(shipId);
    expect((await calls.ship(shipId)).stateReason).toBe('its Pod was deleted');
    await hasFileAgain();
    const { cause, stdout } = await work.end('torn');
    expect([cause, stdout]).toEqual([expect.stringMatching(/^CAUSE_(SHIP_STOPPED|AGENT_LOST)$/), 'begun\n']);
  }, 120_000);

  it('that stops, that expires, and whose Bay ends and comes back: the file is byte-equal', async () => {
    const { shipId, session, hasFileAgain } = await shipWithFile();
    await calls.post(`/v1/ships/${shipId}:stop`, session, {});
    expect((await calls.ship(shipId)).stateReason).toBe('stopped by request');
    await hasFileAgain();
    expect((await calls.ship(shipId)).stateReason).toBe('');
    await calls.post(`/v1/ships/${shipId}:extendTtl`, session, { ttlSeconds: 1 });
    await isStopped(shipId);
    expect((await calls.ship(shipId)).stateReason).toMatch(/^expired: /);
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
