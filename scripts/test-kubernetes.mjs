/**
 * `npm run test:kubernetes [-- PART…]`: everything of Shipyard that depends on a cluster, on a real one: the one that
 * KUBECONFIG names, else the test cluster, which is started for as long as it is needed. The Pods' and the Services'
 * addresses must be reachable from here. SHIPYARD_TEST_KUBE_IMAGE and SHIPYARD_TEST_KUBE_BAY_IMAGE name images that the
 * cluster can pull; the test cluster gets those of this checkout.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expectOnlyDocumentedRights } from './lib/cluster-rights.mjs';
import { ensureCluster, kubectl, writeAccountKubeconfig } from './lib/cluster.mjs';
import { exceptThisMachine } from './lib/except-machine.mjs';
import { fail, say, seconds, step } from './lib/log.mjs';
import { checkManifests } from './lib/manifests.mjs';
import { root } from './lib/run.mjs';
import { setUp } from './setup.mjs';

const PARTS = {
  /** Base, examples and chart, against each other and against the API server. */
  manifests: (env) =>
    inNamespace('manifests', {}, (namespace) => checkManifests({ namespace, own: cluster.own, ...imagesOf(env) })),
  driver: (env) => jest(['src/drivers/kubernetes-driver'], env),
  /** Bay on this machine, as the service account of the manifests: whatever the Role does not allow fails here. */
  outside: (env) =>
    inNamespace('outside', {}, (namespace) => {
      expectOnlyRole(namespace);
      withBayOutside(namespace, env, ['scenarios', 'durability', 'kubernetes-faults']);
    }),
  /** Bay as the manifests have it, reached by its Service. */
  inside: (env) =>
    inNamespace('inside', {}, (namespace) =>
      suites(['scenarios', 'durability', 'kubernetes-network'], {
        ...env,
        ...SHIPS,
        SHIPYARD_TEST_NAMESPACE: namespace,
        SHIPYARD_TEST_BAY_NAMESPACE: namespace,
      }),
    ),
  /** Attacks from inside a Pod, at both levels of Pod Security. */
  probe: (env) =>
    inNamespace('probe', {}, (namespace) => {
      expectOnlyRole(namespace);
      withBayOutside(namespace, { ...env, CONTAINER_DRIVER: 'kubernetes' }, ['probe']);
    }),
  restricted: (env) =>
    inNamespace('restricted', { level: 'restricted' }, (namespace) => {
      expectOnlyRole(namespace);
      const one = { KUBE_POD_SECURITY: 'restricted', CONTAINER_DRIVER: 'kubernetes' };
      withBayOutside(namespace, { ...env, ...one }, ['probe']);
    }),
  /** Last: a cluster whose parts were killed takes its time with what comes next. */
  outages: (env) =>
    inNamespace('outages', {}, (namespace) => {
      expectOnlyRole(namespace);
      withBayOutside(namespace, env, ['kubernetes-outages']);
    }),
};

/** A session, and so a kernel, for each scenario; and a small node has room for three ships. */
const SHIPS = {
  SHIPYARD_TEST_DRIVER: 'kubernetes',
  KUBE_STORAGE_SIZE: '1Gi',
  DEFAULT_SHIP_MEMORY: '1g',
  DEFAULT_SHIP_CPUS: '0.5',
};

const names = process.argv.slice(2);
for (const name of names) if (!PARTS[name]) fail(`No part "${name}"; there are ${Object.keys(PARTS).join(', ')}.`, 2);

setUp();
let cluster;
try {
  cluster = ensureCluster();
} catch (error) {
  fail(error.message, 3);
}
const failed = [];
try {
  const images = {
    SHIPYARD_TEST_KUBE_IMAGE: process.env.SHIPYARD_TEST_KUBE_IMAGE ?? 'ship:slim',
    SHIPYARD_TEST_KUBE_BAY_IMAGE: process.env.SHIPYARD_TEST_KUBE_BAY_IMAGE ?? 'bay:latest',
  };
  if (cluster.own && !process.env.SHIPYARD_TEST_KUBE_IMAGE)
    must('npm', ['run', '--silent', 'images', '--', '--slim', '--bay', '--load-kubernetes']);
  const env = {
    ...process.env,
    ...images,
    DOCKER_IMAGE: images.SHIPYARD_TEST_KUBE_IMAGE,
    SHIPYARD_TEST_KUBECONFIG: cluster.kubeconfig,
    ...(cluster.folder ? { SHIPYARD_TEST_KUBE_FOLDER: cluster.folder } : {}),
  };
  for (const name of names.length ? names : Object.keys(PARTS)) {
    step(`Kubernetes: ${name}`);
    const began = performance.now();
    // The first failure does not end the run: the other parts have their say.
    try {
      PARTS[name](env);
    } catch (error) {
      failed.push(name);
      process.stderr.write(`\n${error.message}\n`);
    }
    say(`    ${seconds(began)}`);
  }
} catch (error) {
  failed.push('images');
  process.stderr.write(`\n${error.message}\n`);
} finally {
  cluster.stop();
}
if (failed.length > 0) fail(`Tests over Kubernetes failed: ${failed.join(', ')}.`);

function imagesOf(env) {
  return { shipImage: env.SHIPYARD_TEST_KUBE_IMAGE, bayImage: env.SHIPYARD_TEST_KUBE_BAY_IMAGE };
}

/** Gives Bay's account its Role, ships their policies, and sees to it that it is no more than the docs say. */
function expectOnlyRole(namespace) {
  for (const file of ['rbac.yaml', 'network-policies.yaml'])
    kubectl(['-n', namespace, 'apply', '-f', path.join(root, 'deploy/kubernetes/base', file)]);
  exceptThisMachine(namespace);
  expectOnlyDocumentedRights(namespace);
}

function withBayOutside(namespace, env, names) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-kube-'));
  try {
    const kubeconfig = path.join(folder, 'kubeconfig');
    writeAccountKubeconfig({ namespace, account: 'shipyard-bay', file: kubeconfig });
    suites(names, { ...env, ...SHIPS, KUBECONFIG: kubeconfig, SHIPYARD_TEST_NAMESPACE: namespace });
    expectNothingLeft(namespace);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whatever a Bay made that ended as it should is gone, or on its way. */
function expectNothingLeft(namespace) {
  const kinds = 'pods,persistentvolumeclaims,secrets';
  const selector = ['-l', 'app.kubernetes.io/managed-by=shipyard'];
  for (let tries = 0; ; tries += 1) {
    const left = kubectl(['-n', namespace, 'get', kinds, ...selector, '-o', 'name']).trim();
    if (left === '') return;
    if (tries === 60) throw new Error(`left in ${namespace}: ${left.replaceAll('\n', ', ')}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  }
}

function inNamespace(what, { level = 'baseline' }, act) {
  const name = `shipyard-${what}-${randomBytes(3).toString('hex')}`;
  kubectl(['create', 'namespace', name]);
  try {
    kubectl(['label', 'namespace', name, `pod-security.kubernetes.io/enforce=${level}`]);
    act(name);
  } finally {
    kubectl(['delete', 'namespace', name, '--wait=false']);
  }
}

function suites(names, env) {
  const files = names.map((name) => `src/e2e/${name}.test.ts`);
  jest(files, env);
}

function jest(paths, env) {
  must('npm', ['run', '--silent', 'jest', '--', '--runInBand', '--forceExit', ...paths], { env });
}

/** Runs a command with its output shown. Throws where it fails, so that what was made for it is removed. */
function must(command, args, options = {}) {
  const { status, signal } = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${signal ?? `exit code ${status}`}`);
}
