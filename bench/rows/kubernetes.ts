import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureCluster, kubectl } from '../../scripts/lib/cluster.mjs';
import { createKubernetesDriver, type KubernetesDriverOptions } from '../../src/drivers/kubernetes-driver/index.js';
import { shipName } from '../../src/drivers/kubernetes-driver/names.js';
import { podFor } from '../../src/drivers/kubernetes-driver/pod-spec.js';
import { TEST_OPTIONS } from '../../src/drivers/kubernetes-driver/testing/test-options.js';
import { testShip } from '../../src/drivers/testing/test-ship.js';
import type { Ship } from '../../src/ships/ship.js';
import { openCountingProxy, type CountingProxy } from '../lib/counting-proxy.js';
import { createToAnswer, manyAtOnce, timedCreates } from '../lib/first-answer.js';
import { serveSimulatedPods } from '../lib/simulated-pods.js';
import { inMs, interleave, median, ratioRow, type Row } from '../lib/stats.js';
import { System } from '../lib/system.js';

const AT_ONCE = 30;
const SIMULATED = 2000;
const IMAGE = process.env['SHIPYARD_TEST_KUBE_IMAGE'] ?? 'ship:slim';
/** Each may use a core, and asks for little of it: so many fit on one node. */
const SPEC = { cpus: 1, memoryBytes: 512 * 1024 ** 2 };
const TEMPLATE = { spec: { containers: [{ name: 'ship', resources: { requests: { cpu: '20m', memory: '64Mi' } } }] } };

/**
 * Ships as Pods, on the cluster that KUBECONFIG names or the test cluster, which must have the image: how long until a new
 * one answers, against the same Pod by kubectl; what a ship costs the API server; thirty at once; and a call among many.
 */
export async function kubernetesRows(rounds: number): Promise<Row[]> {
  const cluster = ensureCluster();
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-bench-'));
  const namespace = `shipyard-bench-${randomBytes(3).toString('hex')}`;
  kubectl(['create', 'namespace', namespace]);
  const proxy = await openCountingProxy(cluster.kubeconfig);
  try {
    const kubeconfig = path.join(folder, 'kubeconfig');
    writeFileSync(kubeconfig, proxy.kubeconfig, { mode: 0o600 });
    const template = path.join(folder, 'template.json');
    writeFileSync(template, JSON.stringify(TEMPLATE));
    const environment = {
      ...{ CONTAINER_DRIVER: 'kubernetes', KUBECONFIG: kubeconfig, KUBE_NAMESPACE: namespace, DOCKER_IMAGE: IMAGE },
      ...{ KUBE_STORAGE_SIZE: '1Gi', KUBE_POD_TEMPLATE: template, MAX_SHIP_NUM: '40' },
      ...{ DEFAULT_SHIP_CPUS: `${SPEC.cpus}`, DEFAULT_SHIP_MEMORY: `${SPEC.memoryBytes}` },
    };
    const system = await System.start(environment, { cpus: SPEC.cpus, memory: `${SPEC.memoryBytes}` });
    try {
      return [
        await toFirstAnswer(system, namespace, rounds),
        await requestsOfALife(system, proxy),
        await manyAtOnce(system, 'kubernetes', AT_ONCE, ''),
        await callAmongMany(folder),
      ];
    } finally {
      await system.stop();
    }
  } finally {
    proxy.close();
    kubectl(['delete', 'namespace', namespace, '--wait=false']);
    cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function toFirstAnswer(system: System, namespace: string, rounds: number): Promise<Row> {
  let created = 0;
  const result = await interleave(rounds, timedCreates(system), () => barePod(namespace, `bare-${++created}`));
  return ratioRow('kubernetes: create to first Python answer / kubectl, Ready', '≤ 1.3', result, inMs(0));
}

/** Milliseconds from `kubectl create` of a claim and the very Pod of a ship, which only sleeps, until it is Ready. */
async function barePod(namespace: string, id: string): Promise<number> {
  const options = { ...DRIVER, deploymentId: 'bare', namespace };
  const pod = podFor(shipOf(id), 'none', options);
  const [container] = pod.spec?.containers ?? [];
  if (!pod.spec || !container) throw new Error('a ship has no container');
  container.args = ['sleep', '600'];
  container.volumeMounts = container.volumeMounts?.filter(({ name }) => name !== 'agent') ?? [];
  pod.spec.volumes = pod.spec.volumes?.filter(({ name }) => name !== 'agent') ?? [];
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: shipName('bare', id) },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  const name = pod.metadata?.name ?? '';
  const here = ['-n', namespace];
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [claim, pod] });
  const started = performance.now();
  await ran([...here, 'create', '-f', '-'], input);
  await ran([...here, 'wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s']);
  const ms = performance.now() - started;
  await ran([...here, 'delete', `pod/${name}`, `pvc/${claim.metadata.name}`, '--grace-period=1']);
  return ms;
}

async function requestsOfALife(system: System, proxy: CountingProxy): Promise<Row> {
  proxy.take();
  const ship = await createToAnswer(system, 'counted');
  await ship.delete();
  const asked = proxy.take();
  return {
    name: "kubernetes: requests of a ship's life, watches aside",
    value: asked.length,
    unit: 'requests',
    goal: '≤ 8',
    detail: asked.join(', '),
  };
}

/** What a look at one ship costs among many, against one among twenty. */
async function callAmongMany(folder: string): Promise<Row> {
  const [few, many] = [await perLook(folder, 20), await perLook(folder, SIMULATED)];
  return {
    name: `kubernetes: a look at a ship among ${SIMULATED} / among 20`,
    value: many / few,
    unit: 'x',
    goal: '≤ 1.5',
    detail: `${(many * 1000).toFixed(1)} us against ${(few * 1000).toFixed(1)} us`,
  };
}

/** Milliseconds of one inspect(). */
async function perLook(folder: string, ships: number): Promise<number> {
  const pods = await serveSimulatedPods('simulated', ships);
  const kubeconfig = path.join(folder, `simulated-${ships}`);
  writeFileSync(kubeconfig, JSON.stringify(pods.kubeconfig));
  const driver = createKubernetesDriver({ ...DRIVER, kubeconfig, deploymentId: 'simulated' });
  try {
    const looks = 20_000;
    const look = async () => {
      const started = performance.now();
      for (let i = 0; i < looks; i++) await driver.inspect(shipOf(`ship-${i % ships}`));
      return (performance.now() - started) / looks;
    };
    await look();
    return median([await look(), await look(), await look()]);
  } finally {
    await driver.close?.();
    pods.close();
  }
}

const DRIVER: KubernetesDriverOptions = { ...TEST_OPTIONS, image: IMAGE, podTemplate: TEMPLATE };

const shipOf = (id: string): Ship => testShip(id, { state: 'RUNNING', driver: 'kubernetes', spec: SPEC });

function ran(args: readonly string[], input = ''): Promise<void> {
  const child = spawn('kubectl', args, { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`kubectl ${args.join(' ')}: ${code}`))));
  });
}
