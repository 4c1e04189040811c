import type { V1PodSpec, V1ObjectMeta } from '@kubernetes/client-node';
import type { NetworkException } from '../network-filter.js';
import type { Log } from '../../telemetry/log.js';

/** KUBE_POD_TEMPLATE, read: what is merged into every Pod. */
export interface PodTemplate {
  readonly metadata?: Pick<V1ObjectMeta, 'labels' | 'annotations'>;
  readonly spec?: Partial<V1PodSpec>;
}

/** What the Kubernetes driver is told; the composition root takes it from the configuration. */
export interface KubernetesDriverOptions {
  /** KUBECONFIG: files, as kubectl takes them. Unset: the service account of the Pod that Bay runs in, else ~/.kube/config. */
  readonly kubeconfig?: string;
  /** KUBE_CONTEXT; unset: the current one. */
  readonly context?: string;
  /** KUBE_NAMESPACE; unset: the context's, else `default`. */
  readonly namespace?: string;
  /** Marks what belongs to this deployment; ships of others are never touched. */
  readonly deploymentId: string;
  /** The deployment's own, 32 bytes; the certificates of its ships come from it. */
  readonly certificateSecret: Buffer;
  /** DOCKER_IMAGE. */
  readonly image: string;
  /** KUBE_IMAGE_PULL_SECRET. */
  readonly imagePullSecret?: string;
  /** KUBE_STORAGE_CLASS; unset: the cluster's default. */
  readonly storageClass?: string;
  /** KUBE_STORAGE_SIZE, of each ship's claim. */
  readonly storageSize: string;
  /** KUBE_RUNTIME_CLASS: gVisor, Kata. */
  readonly runtimeClass?: string;
  /** KUBE_SERVICE_ACCOUNT, whose token ships then have; unset: none. */
  readonly serviceAccount?: string;
  /** KUBE_HOST_USERS; unset: the cluster's default. */
  readonly hostUsers?: boolean;
  /** KUBE_POD_SECURITY: `restricted` gives up the capabilities by which each session gets a user of its own. */
  readonly podSecurity: 'baseline' | 'restricted';
  readonly podTemplate?: PodTemplate;
  /** SHIP_NETWORK. Ships are labelled with it; the NetworkPolicies of the namespace hold them to it. */
  readonly shipNetwork: 'none' | 'internet' | 'open';
  /** SHIP_NETWORK_ALLOW, which is said to do nothing: NetworkPolicies are the operator's. */
  readonly shipNetworkAllow: readonly NetworkException[];
  readonly ephemeral: boolean;
  /** The sessions' environment beyond PATH, HOME, USER and TERM. */
  readonly shipEnvironment: Readonly<Record<string, string>>;
  readonly executionLogMaxBytes?: number;
  readonly shipLogMaxBytes?: number;
  readonly logLevel?: string;
  /** From the call until the agent can be dialled. */
  readonly startTimeoutMs: number;
  readonly logger: Log;
}
