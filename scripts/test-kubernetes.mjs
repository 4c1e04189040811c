/**
 * `npm run test:kubernetes`: the driver's suites and the end-to-end scenarios on a real cluster, with Bay outside and with no
 * right but the Role's. SHIPYARD_TEST_KUBE_IMAGE names an image of ships that the cluster can pull; the test cluster gets the
 * one of this checkout. `npm run test:kubernetes driver` runs one part.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureCluster, kubectl, writeAccountKubeconfig } from './lib/cluster.mjs';
import { fail, say, seconds, step } from './lib/log.mjs';
import { root } from './lib/run.mjs';
import { setUp } from './setup.mjs';

const PARTS = {
  driver: (env) => jest(['src/drivers/kubernetes-driver'], env),
  outside: (env) => inNamespace('shipyard-outside', (namespace) => outside(env, namespace)),
};

const names = process.argv.slice(2);
for (const name of names) if (!PARTS[name]) fail(`No part "${name}"; there are ${Object.keys(PARTS).join(', ')}.`, 2);

setUp();
let cluster;
try {
  cluster = ensureCluster();
} catch (error) {
  fail(error.message);
}
try {
  const image = process.env.SHIPYARD_TEST_KUBE_IMAGE ?? 'ship:slim';
  if (cluster.own && !process.env.SHIPYARD_TEST_KUBE_IMAGE)
    must('npm', ['run', '--silent', 'images', '--', '--slim', '--load-kubernetes']);
  const env = { ...process.env, SHIPYARD_TEST_KUBECONFIG: cluster.kubeconfig, SHIPYARD_TEST_KUBE_IMAGE: image };
  for (const name of names.length ? names : Object.keys(PARTS)) {
    step(`Kubernetes: ${name}`);
    const began = performance.now();
    PARTS[name](env);
    say(`    ${seconds(began)}`);
  }
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`\n${error.message}\n`);
} finally {
  cluster.stop();
}

/** Bay on this machine, as the service account of the manifests: whatever the Role does not allow fails here. */
function outside(env, namespace) {
  const manifests = path.join(root, 'deploy/kubernetes/base');
  for (const file of ['rbac.yaml', 'network-policies.yaml'])
    kubectl(['-n', namespace, 'apply', '-f', path.join(manifests, file)]);
  expectOnlyDocumentedRights(namespace);
  const folder = mkdtempSync(path.join(tmpdir(), 'shipyard-kube-'));
  try {
    const kubeconfig = path.join(folder, 'kubeconfig');
    writeAccountKubeconfig({ namespace, account: 'shipyard-bay', file: kubeconfig });
    jest(['src/e2e/scenarios'], {
      ...env,
      SHIPYARD_TEST_DRIVER: 'kubernetes',
      KUBECONFIG: kubeconfig,
      KUBE_STORAGE_SIZE: '1Gi',
      // A session, and so a kernel, for each scenario.
      DEFAULT_SHIP_MEMORY: '1g',
      DOCKER_IMAGE: env.SHIPYARD_TEST_KUBE_IMAGE,
    });
    expectNothingLeft(namespace);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What Bay's account may do beyond one without a role is what docs/kubernetes.md lists, and nothing else. */
function expectOnlyDocumentedRights(namespace) {
  const rights = (account) => {
    const as = `--as=system:serviceaccount:${namespace}:${account}`;
    return kubectl(['-n', namespace, 'auth', 'can-i', '--list', '--no-headers', as]).trim().split('\n');
  };
  const base = new Set(rights('default'));
  const granted = rights('shipyard-bay').filter((line) => !base.has(line));
  const found = granted.map((line) => {
    const [, resource, verbs] = /^([^\s.]+)\S*.*\[([^\]]*)\]$/.exec(line.trim());
    return `${resource}: ${verbs.split(' ').sort().join(', ')}`;
  });
  const page = readFileSync(path.join(root, 'docs/kubernetes.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z/]+)` +\| ([a-z, ]+?) +\|/gm)];
  const documented = rows.map(([, resource, verbs]) => `${resource}: ${verbs}`);
  const [is, should] = [found, documented].map((lines) => lines.sort().join('\n'));
  if (is !== should) throw new Error(`the Role gives\n${is}\nand docs/kubernetes.md says\n${should}`);
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

function inNamespace(prefix, act) {
  const name = `${prefix}-${randomBytes(3).toString('hex')}`;
  kubectl(['create', 'namespace', name]);
  try {
    kubectl(['label', 'namespace', name, 'shipyard.org/ships=true', 'pod-security.kubernetes.io/enforce=baseline']);
    act(name);
  } finally {
    kubectl(['delete', 'namespace', name, '--wait=false']);
  }
}

function jest(paths, env) {
  must('npm', ['run', '--silent', 'jest', '--', '--runInBand', '--forceExit', ...paths], { env });
}

/** Runs a command with its output shown. Throws where it fails, so that what was made for it is removed. */
function must(command, args, options = {}) {
  const { status, signal } = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${signal ?? `exit code ${status}`}`);
}
