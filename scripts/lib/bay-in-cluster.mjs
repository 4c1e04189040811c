import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { appendFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { kubectl } from './cluster.mjs';
import { root } from './run.mjs';

/** Where a Bay listens and keeps its things is the manifests' to say. */
const OF_THE_MANIFESTS = [
  ...['CONTAINER_DRIVER', 'DOCKER_NETWORK', 'HOST', 'PORT', 'GRPC_PORT', 'ACCESS_TOKEN'],
  ...['SHIPYARD_STATE_DIR', 'SHIP_DATA_DIR', 'DATABASE_URL'],
];
/** Of this process, what Bay is told besides. */
const PASSED_ON = [
  'DOCKER_IMAGE',
  'KUBE_STORAGE_SIZE',
  'KUBE_POD_SECURITY',
  'DEFAULT_SHIP_MEMORY',
  'DEFAULT_SHIP_CPUS',
  'LOG_LEVEL',
];
const NAME = 'deployment/shipyard-bay';
const ROLLOUT = '90s';

/**
 * Bay as a Pod, from the base of deploy/kubernetes, in the namespace that SHIPYARD_TEST_BAY_NAMESPACE names, reached by the
 * address of its Service. The claim of its database stays when it ends: what is started there again knows its ships.
 *
 * @param {import('./bay-process.mjs').BayPlace} place
 * @returns {Promise<import('./bay-process.mjs').BayProcess>}
 */
export async function startBayInCluster({ folder, environment }) {
  const here = ['-n', process.env.SHIPYARD_TEST_BAY_NAMESPACE];
  const log = path.join(folder, 'bay.log');
  writeFileSync(log, '', { flag: 'a' });
  kubectl([...here, 'apply', '-f', '-'], { input: JSON.stringify(manifestsFor(environment)) });
  try {
    kubectl([...here, 'rollout', 'status', NAME, `--timeout=${ROLLOUT}`]);
  } catch (error) {
    appendFileSync(log, `${error.message}\n${said(here)}\n${kubectl([...here, 'get', 'events'])}`);
  }
  const host = kubectl([...here, 'get', 'service', 'shipyard-bay', '-o', 'jsonpath={.spec.clusterIP}']);
  let over;
  const exited = new Promise((resolve) => (over = resolve));
  const end = (signal) => {
    appendFileSync(log, said(here));
    const what =
      signal === 'SIGKILL'
        ? ['pods', '-l', 'app.kubernetes.io/component=bay', '--grace-period=1'] // the Deployment makes another one
        : [NAME, '--cascade=foreground'];
    const child = spawn('kubectl', [...here, 'delete', ...what], { stdio: 'ignore' });
    child.once('exit', (code) => over(signal === 'SIGKILL' ? signal : code));
  };
  return { address: { host, port: 8156, grpcPort: 8157 }, exited, kill: end };
}

/** The base with the Secret of the token, the image under test, and more variables. */
function manifestsFor(environment) {
  const yaml = createRequire(import.meta.url)('js-yaml');
  const items = yaml.loadAll(kubectl(['kustomize', path.join(root, 'deploy/kubernetes/base')]));
  const [bay] = items.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers;
  const passedOn = PASSED_ON.filter((name) => process.env[name]).map((name) => [name, process.env[name]]);
  const own = Object.entries(environment).filter(([name]) => !OF_THE_MANIFESTS.includes(name));
  const variables = new Map([...passedOn, ...own]);
  bay.image = process.env.SHIPYARD_TEST_KUBE_BAY_IMAGE;
  bay.env = [
    ...bay.env.filter(({ name }) => !variables.has(name)),
    ...[...variables].map(([name, value]) => ({ name, value })),
  ];
  const token = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'shipyard-bay' },
    stringData: { 'access-token': environment.ACCESS_TOKEN },
  };
  return { apiVersion: 'v1', kind: 'List', items: [token, ...items] };
}

function said(here) {
  try {
    return kubectl([...here, 'logs', NAME, '--tail=-1']);
  } catch (error) {
    return error.message; // no Pod of it came to run
  }
}
