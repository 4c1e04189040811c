/**
 * A Kubernetes cluster for tests: the one that KUBECONFIG names, else the test cluster where it lies at hand, started for as
 * long as it is needed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { step } from './log.mjs';
import { root } from './run.mjs';

/**
 * `folder`: where the test cluster keeps its state; undefined for one of somebody else.
 *
 * @typedef {{ kubeconfig: string, own: boolean, folder?: string, stop(): void }} Cluster
 */

/**
 * @returns {Cluster}
 * @throws Error that says what there is to set, where there is none
 */
export function ensureCluster() {
  const named = process.env.KUBECONFIG;
  if (named) return { kubeconfig: named, own: false, stop: () => {} };
  const folder = testClusterFolder();
  const wasUp = existsSync(path.join(stateFolder(), 'kubeconfig'));
  step(wasUp ? `Using the test cluster of ${folder}` : `Starting the test cluster of ${folder}`);
  const said = must(path.join(folder, 'up'), []);
  // It prints what to export, for a shell: KUBECONFIG, and PATH with kubectl.
  const variables = must('bash', ['-c', `${said}\nprintf '%s\\n%s' "$KUBECONFIG" "$PATH"`]).split('\n');
  [process.env.KUBECONFIG, process.env.PATH] = variables;
  const stop = () => void (wasUp || must(path.join(folder, 'down'), []));
  return { kubeconfig: variables[0], own: true, folder: stateFolder(), stop };
}

/** Puts an image that an engine has into the nodes of the test cluster. */
export async function loadIntoCluster(maker, tag) {
  const folder = testClusterFolder();
  const place = mkdtempSync(path.join(tmpdir(), 'shipyard-image-'));
  try {
    const file = path.join(place, 'image.tar');
    await maker.save(tag, file);
    must(path.join(folder, 'load-image'), [file]);
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Runs kubectl, with something for its input where it is given; answers what it printed. */
export function kubectl(args, { input, kubeconfig = process.env.KUBECONFIG } = {}) {
  return must('kubectl', ['--kubeconfig', kubeconfig, ...args], { input });
}

/**
 * A kubeconfig for a service account, as somebody who is not an administrator has it. The token lives for two hours.
 *
 * @param {{ namespace: string, account: string, file: string }} wanted
 */
export function writeAccountKubeconfig({ namespace, account, file }) {
  const token = kubectl(['-n', namespace, 'create', 'token', account, '--duration=2h']).trim();
  const config = JSON.parse(kubectl(['config', 'view', '--minify', '--raw', '--flatten', '-o', 'json']));
  config.users = [{ name: account, user: { token } }];
  config.contexts = [{ name: account, context: { cluster: config.clusters[0].name, user: account, namespace } }];
  config['current-context'] = account;
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
}

export const NO_CLUSTER =
  'there is no cluster for tests: set SHIPYARD_TEST_KUBE to the folder of the test cluster, or KUBECONFIG to one and SHIPYARD_TEST_KUBE_IMAGE to an image that it pulls';

/** Whether ensureCluster() has one to answer. A KUBECONFIG alone may name a cluster that is not for tests. */
export const hasCluster = () =>
  Boolean(process.env.KUBECONFIG && process.env.SHIPYARD_TEST_KUBE_IMAGE) ||
  existsSync(path.join(clusterFolder(), 'up'));

function testClusterFolder() {
  if (existsSync(path.join(clusterFolder(), 'up'))) return clusterFolder();
  throw new Error(NO_CLUSTER);
}

const clusterFolder = () => process.env.SHIPYARD_TEST_KUBE ?? path.join(root, '../shared/kube');
const stateFolder = () => process.env.KUBE_DIR ?? path.join(tmpdir(), 'shipyard-kube');

function must(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    ...options,
  });
  if (status === 0) return stdout;
  throw new Error(`${path.basename(command)} ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
}
