import type { V1Pod, V1PodSpec, V1SecurityContext } from '@kubernetes/client-node';
import type { Isolation, Ship } from '../../ships/ship.js';
import { INSIDE } from '../inside.js';
import { tmpBytesOf, UNLIMITED_TMP_BYTES } from '../tmp-bytes.js';
import { mergePod } from './merge-pod.js';
import { podLabels, podName, shipName, SHIP_ID_ANNOTATION } from './names.js';
import type { KubernetesDriverOptions } from './options.js';
import { SHIP_CONTAINER } from './pod-state.js';

/** Where the Secret is mounted, and the file in it. */
const SECRET_DIR = '/etc/shipyard';
export const CONFIG_KEY = 'agent.json';
const AGENT = '/opt/shipyard/agent/ship-agent';
/** First uid of sessions, and the one user of a restricted Pod; the image names it. */
export const UID_BASE = 10_000;
/** What is written beside the claim and `/tmp`: logs, and volumes of a template. A Pod that has more is evicted. */
const EPHEMERAL_BYTES = 2 * 1024 ** 3;
/** Asked of a node for it; a ship rarely has more, and a node must take many. */
const EPHEMERAL_REQUEST_BYTES = 64 * 1024 ** 2;
const RUN_BYTES = 16 * 1024 ** 2;
/** From a deletion by whoever it was until the kubelet kills what is left. The agent closes its logs in it. */
const GRACE_SECONDS = 5;

/** What a Pod is made from. */
export type Life = Pick<Ship, 'id' | 'incarnation' | 'spec'>;

/** The Pod of an incarnation: ours, the template merged over it, and what no template may change over both. */
export function podFor(ship: Life, secretName: string, options: KubernetesDriverOptions): V1Pod {
  const own: V1Pod = { apiVersion: 'v1', kind: 'Pod', spec: specFor(ship, secretName, options) };
  const { metadata = {}, spec = {} } = options.podTemplate ?? {};
  const merged = mergePod(own, { spec, metadata: { labels: metadata.labels, annotations: metadata.annotations } });
  return {
    ...merged,
    metadata: {
      name: podName(options.deploymentId, ship),
      labels: { ...merged.metadata?.labels, ...podLabels(options.deploymentId, ship, options.shipNetwork) },
      annotations: { ...merged.metadata?.annotations, [SHIP_ID_ANNOTATION]: ship.id },
    },
    spec: { ...(merged.spec as V1PodSpec), restartPolicy: 'Never' },
  };
}

function specFor(ship: Life, secretName: string, options: KubernetesDriverOptions): V1PodSpec {
  const oneUid = options.podSecurity === 'restricted';
  const { cpus, memoryBytes } = ship.spec;
  const compute = {
    ...(cpus > 0 ? { cpu: `${Math.max(1, Math.round(cpus * 1000))}m` } : {}),
    ...(memoryBytes > 0 ? { memory: `${memoryBytes}` } : {}),
  };
  return {
    ...(options.serviceAccount ? { serviceAccountName: options.serviceAccount } : {}),
    automountServiceAccountToken: options.serviceAccount !== undefined,
    enableServiceLinks: false,
    ...(options.hostUsers === undefined ? {} : { hostUsers: options.hostUsers }),
    ...(options.runtimeClass ? { runtimeClassName: options.runtimeClass } : {}),
    ...(options.imagePullSecret ? { imagePullSecrets: [{ name: options.imagePullSecret }] } : {}),
    hostname: 'ship',
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: {
      seccompProfile: { type: 'RuntimeDefault' },
      // A new volume belongs to root: as another user the agent writes by its group.
      ...(oneUid
        ? { ...{ runAsNonRoot: true, runAsUser: UID_BASE, runAsGroup: UID_BASE, fsGroup: UID_BASE }, ...ONCE }
        : { runAsUser: 0, runAsGroup: 0 }),
    },
    containers: [
      {
        name: SHIP_CONTAINER,
        image: options.image,
        imagePullPolicy: 'IfNotPresent',
        args: agentCommand(oneUid),
        ports: [{ name: 'agent', containerPort: INSIDE.port }],
        resources: {
          requests: { ...compute, 'ephemeral-storage': `${EPHEMERAL_REQUEST_BYTES}` },
          limits: { ...compute, 'ephemeral-storage': `${EPHEMERAL_BYTES}` },
        },
        securityContext: containerSecurity(oneUid),
        volumeMounts: [
          { name: 'ship', mountPath: INSIDE.data },
          { name: 'agent', mountPath: SECRET_DIR, readOnly: true },
          { name: 'run', mountPath: INSIDE.run },
          { name: 'tmp', mountPath: '/tmp' },
          { name: 'tmp', mountPath: '/var/tmp' },
        ],
      },
    ],
    volumes: [
      { name: 'ship', persistentVolumeClaim: { claimName: shipName(options.deploymentId, ship.id) } },
      // The Secret is made after the Pod, which owns it; the kubelet waits for it.
      { name: 'agent', secret: { secretName, defaultMode: 0o400 } },
      { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: `${RUN_BYTES}` } },
      // In memory: who fills it is told that it is full. One on the node's disk has no such bound, and the Pod is evicted.
      { name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: `${tmpBytesOf(ship.spec) ?? UNLIMITED_TMP_BYTES}` } },
    ],
  };
}

/** So that a claim with many files is not walked through at every start. */
const ONCE = { fsGroupChangePolicy: 'OnRootMismatch' } as const;

/** An emptyDir is writable by all, and nothing keeps one session from another's files in it: that needs the sticky bit. */
function agentCommand(oneUid: boolean): string[] {
  const command = [AGENT, `${SECRET_DIR}/${CONFIG_KEY}`];
  return oneUid ? command : ['/bin/sh', '-c', 'chmod 1777 /tmp && exec "$0" "$@"', ...command];
}

function containerSecurity(oneUid: boolean): V1SecurityContext {
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], ...(oneUid ? {} : { add: ['SETGID', 'SETUID'] }) },
  };
}

/** @param pod as the API server has it, whatever template and admission made of ours */
export function isolationOf(
  ship: Ship,
  pod: V1Pod,
  options: KubernetesDriverOptions,
  unenforced: readonly string[],
): Isolation {
  const runtime = pod.spec?.runtimeClassName;
  const oneUid = options.podSecurity === 'restricted';
  return {
    kind: 'container',
    network: options.shipNetwork,
    limits: [
      ...(ship.spec.memoryBytes > 0 ? ['memory'] : []),
      ...(ship.spec.cpus > 0 ? ['cpu'] : []),
      'ephemeral-storage',
    ],
    missing: [
      'pids limit: a Pod cannot ask for one; the kubelet sets it for all Pods (podPidsLimit)',
      ...unenforced,
      ...(oneUid ? ['a user for the session: it shares that of the agent (KUBE_POD_SECURITY=restricted)'] : []),
    ],
    ...(runtime ? { runtime } : {}),
  };
}
