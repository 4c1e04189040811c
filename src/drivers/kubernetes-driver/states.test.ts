import { kubectl } from '../../../scripts/lib/cluster.mjs';
import type { Ship } from '../../ships/ship.js';
import { CONFORMANCE_TOKEN as TOKEN } from '../conformance.js';
import type { Driver } from '../driver.js';
import { runIn } from '../testing/agent-client.js';
import type { KubernetesDriverOptions } from './options.js';
import { KubernetesShips, kubernetesShip } from './testing/kubernetes-ships.js';
import {
  describeInCluster,
  OWN_CLUSTER_FOLDER,
  TEST_IMAGE,
  TEST_KUBECONFIG,
  TestNamespace,
} from './testing/test-cluster.js';

const TIMEOUT_MS = 90_000;
/** From a Pod to the end of a wait that cannot end well. */
const SHORT_MS = 6_000;

describeInCluster('what a cluster says of a ship', () => {
  let ships: KubernetesShips;
  beforeAll(async () => void (ships = await KubernetesShips.make()), TIMEOUT_MS);
  afterAll(() => ships[Symbol.asyncDispose](), TIMEOUT_MS);
  const says = (what: string, test: () => Promise<void>) => it(what, test, TIMEOUT_MS);
  /** What others' Pods would suffer from. */
  const inOwnCluster = OWN_CLUSTER_FOLDER ? says : it.skip;

  const soon = () => AbortSignal.timeout(TIMEOUT_MS);
  const start = async (driver: Driver, ship: Ship) => {
    const { handle } = await driver.start(ship, { token: TOKEN, signal: soon() });
    return { ...ship, handle };
  };
  /** How a start fails, and that it leaves nothing but the claim. */
  const failureOf = async (ship: Ship, options: Partial<KubernetesDriverOptions>) => {
    const driver = ships.driver(options);
    const failure: unknown = await start(driver, ship).then(
      () => Promise.reject(new Error('it started')),
      (error: unknown) => error,
    );
    expect(await ships.namespace.names('pods')).not.toContain(ships.podName(ship));
    await driver.removeData(ship.id);
    return failure as { reason: string; message: string };
  };

  /** A change of roles reaches the API server's judge a moment later. */
  const untilRefused = async (act: () => Promise<unknown>): Promise<unknown> => {
    for (const late = soon(); ; late.throwIfAborted()) {
      const failure: unknown = await act().then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure !== undefined) return failure;
    }
  };

  says('an image that does not exist: at the end of the wait', async () => {
    const failure = await failureOf(kubernetesShip('no-image'), { image: 'nowhere/ship:1', startTimeoutMs: SHORT_MS });
    expect(failure.reason).toBe('SHIP_START_FAILED');
    expect(failure.message).toMatch(/not ready within 6000 ms; (ErrImagePull|ImagePullBackOff): .*nowhere\/ship:1/);
  });

  says('an image that may not be pulled: at once', async () => {
    const podTemplate = { spec: { containers: [{ name: 'ship', imagePullPolicy: 'Never' }] } };
    const failure = await failureOf(kubernetesShip('never'), { image: 'nowhere/ship:1', podTemplate });
    expect(failure).toMatchObject({
      reason: 'DRIVER_REFUSED',
      message: expect.stringContaining('ErrImageNeverPull') as string,
    });
  });

  says('a request larger than any node: at the end of the wait', async () => {
    const huge = kubernetesShip('huge', { spec: { cpus: 500, memoryBytes: 2 ** 28 } });
    const failure = await failureOf(huge, { startTimeoutMs: SHORT_MS });
    expect(failure.reason).toBe('SHIP_START_FAILED');
    expect(failure.message).toMatch(/Unschedulable: .*Insufficient cpu/);
  });

  says('a storage class that does not exist: at the end of the wait', async () => {
    const failure = await failureOf(kubernetesShip('no-class'), { storageClass: 'nowhere', startTimeoutMs: SHORT_MS });
    expect(failure.reason).toBe('SHIP_START_FAILED');
    expect(failure.message).toMatch(/storageclass.*"nowhere" not found/i);
  });

  says('a quota that is used up: at once', async () => {
    await using own = await KubernetesShips.make();
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'small' },
      spec: { hard: { 'limits.memory': '1Mi' } },
    };
    await own.namespace.client.request('POST', own.namespace.path('resourcequotas'), { body: quota });
    await expect(start(own.driver(), kubernetesShip('quota'))).rejects.toMatchObject({
      reason: 'SHIP_START_FAILED',
      message: expect.stringMatching(/exceeded quota: small/) as string,
    });
  });

  says('a namespace that asks for more security than ships have: at once', async () => {
    await using own = await KubernetesShips.make({}, 'restricted');
    await expect(start(own.driver(), kubernetesShip('refused'))).rejects.toMatchObject({
      reason: 'DRIVER_REFUSED',
      message: expect.stringMatching(/violates PodSecurity "restricted:latest"/) as string,
    });
  });

  says('nothing against a ship of one user in that namespace, and that it has no user of its own', async () => {
    await using own = await KubernetesShips.make({ podSecurity: 'restricted' }, 'restricted');
    const driver = own.driver();
    await expect(start(driver, kubernetesShip('shared'))).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
    const ship = kubernetesShip('alone', { maxSessionNum: 1 });
    const { handle, isolation } = await driver.start(ship, { token: TOKEN, signal: soon() });
    expect(isolation.missing.join()).toContain('a user for the session');
    expect(await runIn(driver.endpoint(handle), TOKEN, 'id -u; echo x > f; cat f')).toMatchObject({
      stdout: '10000\nx\n',
    });
    await driver.stop({ ...ship, handle }, { signal: soon() });
  });

  says('a Pod that somebody deleted, and the workspace is as it was', async () => {
    const driver = ships.driver();
    const ship = await start(driver, kubernetesShip('deleted'));
    await runIn(driver.endpoint(ship.handle), TOKEN, 'head -c 100000 /dev/urandom > f; sha256sum f > sum');
    const died = driver.died?.(ship, soon());
    await ships.namespace.remove('pods', ships.podName(ship));
    expect(await died).toEqual({ state: 'gone', reason: 'its Pod was deleted' });
    const again = await start(driver, kubernetesShip('deleted', { incarnation: 2 }));
    expect(await runIn(driver.endpoint(again.handle), TOKEN, 'sha256sum -c sum')).toMatchObject({ code: 0 });
    await driver.stop(again, { signal: soon() });
  });

  says('a Pod that was evicted', async () => {
    const driver = ships.driver();
    const ship = await start(driver, kubernetesShip('evicted'));
    const died = driver.died?.(ship, soon());
    await ships.namespace.evict(ships.podName(ship));
    expect(await died).toEqual({ state: 'gone', reason: expect.stringMatching(/^EvictionByEvictionAPI: /) as string });
    await driver.stop(ship, { signal: soon() });
  });

  inOwnCluster('a Pod that gave way to a more important one', async () => {
    const { client } = ships.namespace;
    const { items } = await client.request<{ items: { status: { allocatable: { cpu: string } } }[] }>(
      'GET',
      '/api/v1/nodes',
    );
    const cpu = items[0]?.status.allocatable.cpu ?? '';
    // Of two that want more than half a node, the lesser one goes.
    const cpus = 0.6 * (cpu.endsWith('m') ? parseInt(cpu) / 1000 : Number(cpu));
    const driver = ships.driver();
    const ship = await start(driver, kubernetesShip('preempted', { spec: { cpus, memoryBytes: 2 ** 28 } }));
    const died = driver.died?.(ship, soon());
    const container = { name: 'important', image: TEST_IMAGE, command: ['sleep', '600'] };
    const resources = { requests: { cpu: `${cpus}` }, limits: { cpu: `${cpus}` } };
    const spec = { priorityClassName: 'system-cluster-critical', containers: [{ ...container, resources }] };
    const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'important' }, spec };
    await client.request('POST', ships.namespace.path('pods'), { body });
    try {
      expect(await died).toEqual({
        state: 'gone',
        reason: expect.stringMatching(/^PreemptionByScheduler: /) as string,
      });
    } finally {
      await ships.namespace.remove('pods', 'important');
    }
    await driver.stop(ship, { signal: soon() });
  });

  says('an agent for which there is no memory', async () => {
    const driver = ships.driver();
    const ship = await start(driver, kubernetesShip('memory'));
    const died = driver.died?.(ship, soon());
    const eat =
      'echo -1000 > /dev/null; a=$(pgrep -P 1); echo 1000 > /proc/$a/oom_score_adj; head -c 1G /dev/zero | tail';
    await ships.exec(ship, ['/bin/bash', '-c', eat]);
    expect(await died).toMatchObject({
      state: 'gone',
      oom: true,
      reason: expect.stringMatching(/^OOMKilled/) as string,
    });
    await driver.stop(ship, { signal: soon() });
  });

  says('nothing more, once a ship and its data are removed', async () => {
    await using own = await KubernetesShips.make();
    const kinds = ['pods', 'persistentvolumeclaims', 'secrets'];
    const snapshot = async () => (await Promise.all(kinds.map((kind) => own.namespace.names(kind)))).flat().sort();
    const before = await snapshot();
    const driver = own.driver();
    const ship = await start(driver, kubernetesShip('traces'));
    expect(await snapshot()).toHaveLength(before.length + 3);
    await driver.stop(ship, { signal: soon() });
    await driver.removeData(ship.id);
    // Secret and claim go after what used them.
    for (const late = soon(); (await snapshot()).length > before.length;) {
      late.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(await snapshot()).toEqual(before);
  });

  says('that the account lacks a right, before any ship is made', async () => {
    await using own = await KubernetesShips.make();
    const withoutWatch = [{ op: 'replace', path: '/rules/0/verbs', value: ['create', 'delete', 'get', 'list'] }];
    const patch = ['patch', 'role', 'shipyard-bay', '--type=json', '-p', JSON.stringify(withoutWatch)];
    kubectl(['-n', own.namespace.name, ...patch], { kubeconfig: TEST_KUBECONFIG });
    await expect(untilRefused(() => own.driver().check(soon()))).resolves.toMatchObject({
      reason: 'DRIVER_REFUSED',
      message: expect.stringMatching(/may not watch pods in namespace .*rbac\.yaml/) as string,
    });
  });

  it.each<[string, Partial<KubernetesDriverOptions>, RegExp]>([
    [
      'a field that is unknown',
      { podTemplate: { spec: { tolerationss: [] } as object } },
      /"spec\.tolerationss".*KUBE_POD_TEMPLATE/,
    ],
    ['a list that is none', { podTemplate: { spec: { containers: 'ship' } as object } }, /cannot unmarshal/],
    [
      'a container without a name',
      { podTemplate: { spec: { containers: [{ image: 'a' }] } as object } },
      /name: Required/,
    ],
    ['a name that no class can have', { storageClass: 'No Class' }, /claim of a small ship.*storageClassName/],
  ])(
    'no Pod of %s: before any ship is made',
    async (_what, options, says) => {
      await expect(ships.driver(options).check(soon())).rejects.toMatchObject({
        reason: 'DRIVER_REFUSED',
        message: expect.stringMatching(says) as string,
      });
    },
    TIMEOUT_MS,
  );

  says('what its level of security refuses, and what a template takes away, as a warning at the start', async () => {
    await using own = await KubernetesShips.make({}, 'restricted');
    const podTemplate = { spec: { hostNetwork: true } };
    const { warnings } = await own.driver({ podTemplate }).check(soon());
    expect(warnings.join('\n')).toMatch(/KUBE_POD_TEMPLATE takes away: hostNetwork[^]*violates PodSecurity/);
  });

  says('that no policy holds its ships, until one does', async () => {
    await using namespace = await TestNamespace.make();
    const warningsOf = async () =>
      (await ships.driver({ kubeconfig: TEST_KUBECONFIG, namespace: namespace.name }).check(soon())).warnings.join(
        '\n',
      );
    expect(await warningsOf()).toMatch(/keeps others from ships' agents[^]*holds ships to SHIP_NETWORK=internet/);
    const spec = {
      podSelector: { matchLabels: { 'app.kubernetes.io/component': 'ship' } },
      policyTypes: ['Ingress', 'Egress'],
    };
    const body = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'ships' }, spec };
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace.name}/networkpolicies`;
    await namespace.client.request('POST', path, { body });
    expect(await warningsOf()).toBe('');
  });
});
