/** The manifests of deploy/kubernetes and the chart, held against each other and against a cluster. */
import { deepStrictEqual } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { kubectl } from './cluster.mjs';
import { documentedOverlays } from './documented-overlays.mjs';
import { ensureGoTool, goModuleFolder, toolsFolder } from './go-tools.mjs';
import { say } from './log.mjs';
import { root } from './run.mjs';

const folder = path.join(root, 'deploy/kubernetes');
/** Kinds that a cluster has only with what brings them: where their definitions are. */
const GATEWAY = ['sigs.k8s.io/gateway-api@v1.2.1', 'config/crd/standard/gateway.networking.k8s.io'];
const MONITORING = [
  'github.com/prometheus-operator/prometheus-operator@v0.79.2',
  'example/prometheus-operator-crd/monitoring.coreos.com',
];
const OF_OTHERS = {
  HTTPRoute: [...GATEWAY, 'httproutes'],
  GRPCRoute: [...GATEWAY, 'grpcroutes'],
  ServiceMonitor: [...MONITORING, 'servicemonitors'],
};

/** Everything that the chart can give, with something in every value. */
const EVERYTHING = {
  image: { repository: 'registry.example.org/bay', tag: '1.0.0', pullPolicy: 'Always' },
  imagePullSecrets: [{ name: 'registry' }],
  shipImage: 'registry.example.org/ship:1.0.0',
  shipNetwork: 'none',
  shipNetworkExcept: ['203.0.113.0/24', '2001:db8::/32'],
  accessToken: { secretName: 'token', key: 'text' },
  env: {
    KUBE_STORAGE_SIZE: '20Gi',
    MAX_SHIP_NUM: 20,
    MAX_UPLOAD_SIZE: 2_000_000_000,
    BAY_EPHEMERAL: false,
    SHIP_ENV_KEY: { secretKeyRef: { name: 'keys', key: 'api' } },
  },
  podTemplate: { spec: { tolerations: [{ key: 'sandboxes', operator: 'Exists' }] } },
  storage: { size: '5Gi', className: 'fast' },
  resources: { limits: { memory: '1Gi' } },
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'control', operator: 'Exists' }],
  affinity: { nodeAffinity: {} },
  podAnnotations: { 'example.org/team': 'agents' },
  clients: [{ namespaceSelector: {} }, { ipBlock: { cidr: '203.0.113.0/24' } }],
  service: { type: 'LoadBalancer', annotations: { 'example.org/internal': 'true' } },
  ingress: { enabled: true, className: 'nginx', annotations: { 'example.org/a': 'b' } },
  gateway: { enabled: true, parentRefs: [{ name: 'edge', namespace: 'gateways' }] },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  resourceQuota: { enabled: true, hard: { pods: '5' } },
};

/**
 * The chart gives the base's objects; the API server takes all that base, examples and chart can give, and knows every
 * field; and a release of the chart runs.
 *
 * @param {{ namespace: string, own: boolean, shipImage: string, bayImage: string }} place a namespace that is there; a
 *   cluster of our own is taught the kinds of others
 */
export function checkManifests({ namespace, own, shipImage, bayImage }) {
  if (own) defineKindsOfOthers();
  const base = objectsOf(kubectl(['kustomize', path.join(folder, 'base')]));
  expectTaken(namespace, 'the base', base);
  const overlay = kubectl(['kustomize', path.join(folder, 'overlay')]);
  expectTaken(namespace, 'the overlay', objectsOf(overlay));
  for (const image of ['registry.example.org/bay:1.0.0', 'registry.example.org/ship:1.0.0'])
    if (!overlay.includes(image)) throw new Error(`the overlay does not bring ${image}`);
  for (const piece of documentedOverlays()) expectTaken(namespace, 'an overlay of the docs', objectsOf(piece));
  for (const name of readdirSync(path.join(folder, 'examples'))) {
    const objects = objectsOf(readFileSync(path.join(folder, 'examples', name), 'utf8'));
    if (objects[0].kind !== 'Namespace') expectTaken(namespace, `examples/${name}`, objects);
  }
  if (!ensureGoTool('helm')) return say('    skipped: the chart, since Helm is built by Go, which is not here');
  deepStrictEqual(sorted(render({}).map(withoutHelm)), sorted(base), 'the chart gives other objects than the base');
  const everything = render(EVERYTHING);
  expectTaken(namespace, 'the chart, with all that it can give', everything);
  expectExcepted(everything, EVERYTHING.shipNetworkExcept);
  expectVariables(everything, { MAX_SHIP_NUM: '20', MAX_UPLOAD_SIZE: '2000000000', BAY_EPHEMERAL: 'false' });
  install(namespace, { shipImage, bayImage });
}

/** With the server's own validation: its schemas, its defaults, its admission. */
function expectTaken(namespace, what, objects) {
  const left = new Set();
  const known = objects.filter(({ kind }) => {
    if (!OF_OTHERS[kind] || isServed(kind)) return true;
    left.add(`${kind}, which this cluster does not know`);
    return false;
  });
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: known });
  if (known.length > 0)
    kubectl(['-n', namespace, 'apply', '--dry-run=server', '--validate=strict', '-f', '-'], { input });
  say(`    ${what}: ${known.length} objects taken${left.size > 0 ? `; skipped: ${[...left].join(', ')}` : ''}`);
}

/** That each block is left out somewhere; the server takes it below an address of its family alone. */
function expectExcepted(objects, blocks) {
  const rules = objects.filter(({ kind }) => kind === 'NetworkPolicy').flatMap(({ spec }) => spec.egress ?? []);
  const excepted = rules.flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock?.except ?? []));
  const missing = blocks.filter((block) => !excepted.includes(block));
  if (missing.length > 0) throw new Error(`no policy of the chart excepts ${missing.join(', ')}`);
}

/** Of Bay, as texts, whatever they are in the values. */
function expectVariables(objects, wanted) {
  const { spec } = objects.find(({ kind }) => kind === 'Deployment');
  const variables = Object.fromEntries(spec.template.spec.containers[0].env.map(({ name, value }) => [name, value]));
  for (const [name, value] of Object.entries(wanted)) deepStrictEqual(variables[name], value, name);
}

function defineKindsOfOthers() {
  for (const [module, prefix, plural] of Object.values(OF_OTHERS)) {
    const place = goModuleFolder(module);
    if (!place) continue; // it is then skipped, with the reason
    const file = path.join(place, `${prefix}_${plural}.yaml`);
    // On the server's side: its description would not fit into the annotation of the client's.
    kubectl(['apply', '--server-side', '-f', file]);
    untilEstablished(file);
  }
}

/** Not by `kubectl wait`, which fails where the server has not written any condition yet. */
function untilEstablished(file) {
  const condition = `jsonpath={.status.conditions[?(@.type=="Established")].status}`;
  const end = performance.now() + 30_000;
  while (kubectl(['get', '-f', file, '-o', condition]).trim() !== 'True') {
    if (performance.now() > end) throw new Error(`the server does not serve ${file} after 30 s`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
}

function isServed(kind) {
  served ??= kubectl(['api-resources', '--no-headers']).split('\n');
  return served.some((line) => line.trim().endsWith(` ${kind}`));
}
let served;

/**
 * A release as people make one, under a quota that asks for every limit: Bay is ready when Helm says so. Its claim outlives
 * it, and so does what holds ships, which may still run; the next release takes both over.
 */
function install(namespace, { shipImage, bayImage }) {
  const token = { 'access-token': randomBytes(24).toString('base64url') };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shipyard-bay' }, stringData: token };
  kubectl(['-n', namespace, 'apply', '-f', '-'], { input: JSON.stringify(secret) });
  const [repository, tag = 'latest'] = bayImage.split(/:(?=[^/]*$)/);
  const hard = { pods: '5', 'requests.cpu': '4', 'limits.cpu': '8', 'requests.memory': '8Gi', 'limits.memory': '8Gi' };
  const values = { image: { repository, tag }, shipImage, resourceQuota: { enabled: true, hard } };
  const kept = ['persistentvolumeclaim/shipyard-bay', ...SHIP_POLICIES.map((name) => `networkpolicy/${name}`)];
  for (const _ of ['first', 'second']) {
    helm(['install', 'shipyard', ...CHART, '-n', namespace, '--wait', '--timeout', '90s'], values);
    helm(['uninstall', 'shipyard', '-n', namespace, '--wait']);
    kubectl(['-n', namespace, 'get', ...kept]);
  }
  say('    a release of the chart came up twice, and left its claim and what holds ships when it was uninstalled');
}

const SHIP_POLICIES = ['ships-from-bay', 'ships-none', 'ships-internet', 'ships-open'];
const CHART = [path.join(folder, 'chart'), '-f', '-'];
/** Without a cluster Helm takes a version of old for granted. */
const render = (values) => objectsOf(helm(['template', 'shipyard', ...CHART, '--kube-version', '1.34.0'], values));

function helm(args, values) {
  const { status, stdout, stderr, error } = spawnSync(path.join(toolsFolder, 'helm'), args, {
    encoding: 'utf8',
    input: JSON.stringify(values ?? {}),
    env: { ...process.env, HELM_CACHE_HOME: NOWHERE, HELM_CONFIG_HOME: NOWHERE, HELM_DATA_HOME: NOWHERE },
  });
  if (status === 0) return stdout;
  throw new Error(`helm ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
}
/** Nothing is read from or written to the home folder. */
const NOWHERE = path.join(toolsFolder, '../helm');

// Loaded when it is needed: the npm packages may be installed by the same script.
const objectsOf = (text) =>
  createRequire(import.meta.url)('js-yaml')
    .loadAll(text)
    .filter(Boolean);
const sorted = (objects) => objects.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)));
const nameOf = ({ kind, metadata }) => `${kind} ${metadata.name}`;

/** What only Helm reads is left out. */
function withoutHelm({ metadata, ...object }) {
  const { annotations = {}, ...rest } = metadata;
  const others = Object.entries(annotations).filter(([name]) => !name.startsWith('helm.sh/'));
  return {
    ...object,
    metadata: { ...rest, ...(others.length > 0 ? { annotations: Object.fromEntries(others) } : {}) },
  };
}
