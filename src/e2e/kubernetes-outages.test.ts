/** Parts of a cluster that are away for a while, and a node that is lost: what runs goes on, what ends says why, nothing is left. */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { OWN_CLUSTER_FOLDER } from '../drivers/kubernetes-driver/testing/test-cluster.js';
import { eventually } from './testing/processes.js';
import { readWithCuts } from './testing/read-with-cuts.js';
import { makeShipWithFile } from './testing/ship-with-file.js';
import { clusterDaemon, endPodOnNode, testCluster } from './testing/test-cluster.js';
import { TEST_DRIVER } from './testing/test-engine.js';
import { V1Calls } from './testing/v1-calls.js';

/** Until nothing is left of what a fault interrupted. */
const NO_ORPHANS_MS = 60_000;
/** Until the cluster misses a node, and Bay an agent. */
const MISSED_MS = 150_000;
/** After which the agent has on its disk what it told of; a crash may cost what is younger. */
const WRITTEN_SECONDS = 1;
const inOwnCluster = TEST_DRIVER === 'kubernetes' && OWN_CLUSTER_FOLDER ? describe : describe.skip;

const PRINTS = 6000;
/** Prints for a minute and a half, far longer than its readers are hindered. */
const unhurried = `import time\nfor i in range(${PRINTS}):\n    print(str(i).zfill(99))\n    if i % 20 == 0: time.sleep(0.3)`;
const printed = Buffer.from(Array.from({ length: PRINTS }, (_, i) => `${String(i).padStart(99, '0')}\n`).join(''));

const KILLS = 20;
/** Made before the first of them, so that there is something to delete while creates wait for the cluster. */
const AHEAD = 8;
/** From the begin of a create, a call and a delete until the server is killed: about as long as they take. */
const WITHIN_MS = 2500;
const SMALL = { cpus: 0.1, memory: '256m' };

inOwnCluster('while a part of the cluster is away', () => {
  let bay: OwnBay;
  let calls: V1Calls;
  beforeAll(async () => {
    // A start that failed holds its place until the API server is back to say that nothing of it lives.
    bay = await startOwnBay({ BAY_EPHEMERAL: '', MAX_SHIP_NUM: '200' });
    calls = new V1Calls(bay);
  }, 60_000);
  afterEach(async () => {
    for (const { shipId } of await calls.ships()) await calls.deleteShip(shipId);
    await eventually('nothing is left', async () => (await testCluster().ofShips()).length === 0, NO_ORPHANS_MS);
  }, 120_000);
  afterAll(() => bay.stop(), 120_000);
  /** Reads it with cuts. A failure shows how much came, where it differs, what stands there, and how the cell ended. */
  const everythingOf = async (shipId: string, session: string, id: string) => {
    const work = calls.in(shipId, session);
    const read = await readWithCuts(work.attach(id), 100, () => sleep(200));
    const at = read.findIndex((byte, index) => byte !== printed[index]);
    const { outcome, cause } = await work.end(id);
    return {
      bytes: read.length,
      differs: at < 0 ? '' : `${at}: ${read.subarray(at, at + 300).toString()}`,
      outcome,
      cause,
    };
  };
  const EVERYTHING = { bytes: printed.length, differs: '', outcome: 'completed', cause: 'CAUSE_NONE' };

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
    expect(await everythingOf(shipId, 'kubelet', 'on')).toEqual(EVERYTHING);
    expect((await calls.ship(shipId)).state).toBe('SHIP_STATE_RUNNING');
  }, 240_000);

  it('a node that is lost with its ship: both answers say so, and the ship is restored when the node is back', async () => {
    const { shipId, containerId, session, work, hasFileAgain } = await makeShipWithFile(calls, 'node');
    await work.begin('lost', "import time\nprint('begun', flush=True)\ntime.sleep(600)");
    await work.command(`sleep ${WRITTEN_SECONDS}`);
    const lost = /its agent does not answer: NodeNotReady: Node is not ready/;
    const kubelet = clusterDaemon('kubelet');
    await kubelet.end('SIGKILL');
    try {
      await endPodOnNode(containerId);
      const isGivenUp = async () => (await calls.ship(shipId)).state === 'SHIP_STATE_STOPPING';
      await eventually('Bay has given the ship up', isGivenUp, MISSED_MS);
      expect((await calls.ship(shipId)).stateReason).toMatch(lost);
      const asked = await calls.post('/ship', session, { ttl: 60 });
      expect([asked.status, await asked.text()]).toEqual([503, expect.stringMatching(lost)]);
    } finally {
      kubelet.start();
    }
    const isStopped = async () => (await calls.ship(shipId)).state === 'SHIP_STATE_STOPPED';
    await eventually('the node has ended what was left of it', isStopped, NO_ORPHANS_MS);
    expect((await calls.ship(shipId)).stateReason).toMatch(lost);
    await hasFileAgain();
    expect(await work.end('lost')).toMatchObject({ outcome: 'unknown', cause: 'CAUSE_AGENT_LOST', stdout: 'begun\n' });
  }, 420_000);

  it('the API server, killed twenty times during a create, a call and a delete: no byte is lost, nothing is left', async () => {
    const { shipId } = await calls.createShip('steady');
    const work = calls.in(shipId, 'steady');
    await work.begin('on', unhurried);
    const whole = everythingOf(shipId, 'steady', 'on');
    whole.catch(() => undefined); // asked for below
    const counts = { created: 0, refused: 0, called: 0, deleted: 0, later: 0 };
    const ships: string[] = [];
    let sessions = 0;
    const create = async () => {
      const made = await calls.tryCreateShip(`made ${(sessions += 1)}`, SMALL);
      counts[made.shipId ? 'created' : 'refused'] += 1;
      if (made.shipId) ships.push(made.shipId);
      else expect(made.reason).toMatch(/^(DRIVER_UNAVAILABLE|SHIP_START_FAILED)$/);
    };
    const call = async () => {
      expect(await work.command('echo here; sleep 1; echo and there')).toBe('here\nand there\n');
      counts.called += 1;
    };
    const remove = async () => {
      const ship = ships.shift();
      if (ship !== undefined) counts[await calls.tryDeleteShip(ship)] += 1;
    };
    await Promise.all(Array.from({ length: AHEAD }, create));
    expect(counts.created).toBe(AHEAD);
    const acts: Promise<PromiseSettledResult<void>[]>[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      acts.push(Promise.allSettled([create(), call(), remove()]));
      await sleep(randomInt(0, WITHIN_MS));
      const server = clusterDaemon('kube-apiserver');
      await server.end('SIGKILL');
      await sleep(randomInt(0, 500));
      server.start();
      await eventually('the API server is ready again', isServerReady, 60_000);
    }
    const failures = (await Promise.all(acts)).flat().filter(({ status }) => status === 'rejected');
    console.log(`API server killed ${KILLS} times: ${JSON.stringify(counts)}`);
    expect(failures).toEqual([]);
    expect(counts.called).toBe(KILLS);
    expect(counts.created + counts.refused).toBe(AHEAD + KILLS);
    expect(counts.deleted + counts.later).toBeGreaterThanOrEqual(AHEAD);
    expect(await whole).toEqual(EVERYTHING);
    while (ships.length > 0) await remove();
    await eventually(
      'only the steady ship is left, in Bay',
      async () => (await calls.ships()).length === 1,
      NO_ORPHANS_MS,
    );
    await eventually('and in the cluster', async () => (await testCluster().ofShips()).length === 3, NO_ORPHANS_MS);
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
