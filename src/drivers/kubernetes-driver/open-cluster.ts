import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { StatusError } from '../../../proto/rpc/status-error.js';
import { toError } from '../system-error.js';
import { KubeClient } from './kube-client.js';

export interface Cluster {
  readonly client: KubeClient;
  readonly namespace: string;
  /** For people: the context, or that Bay runs in the cluster. */
  readonly name: string;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const isInCluster = (): boolean => existsSync(SERVICE_ACCOUNT);

/** @throws StatusError DRIVER_REFUSED where there is no kubeconfig, or it cannot be used */
export async function openCluster(options: {
  kubeconfig?: string;
  context?: string;
  namespace?: string;
}): Promise<Cluster> {
  // Loaded where it is needed: it is as large as the rest of Bay.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  const inCluster = options.kubeconfig === undefined && isInCluster();
  const load = (into: KubeConfig): KubeConfig => {
    if (inCluster) into.loadFromCluster();
    else readFiles(into, options.kubeconfig ?? path.join(homedir(), '.kube/config'), () => new KubeConfig());
    if (options.context !== undefined) into.setCurrentContext(options.context);
    return into;
  };
  try {
    load(config);
  } catch (error) {
    // What follows the first line shows a part of the file, which holds keys and tokens.
    const [why] = toError(error).message.split('\n');
    throw new StatusError('DRIVER_REFUSED', `the kubeconfig cannot be read: ${why}`);
  }
  const context = config.getContextObject(config.getCurrentContext());
  if (!context) {
    const known =
      config
        .getContexts()
        .map(({ name }) => name)
        .join(', ') || 'none';
    const wanted = config.getCurrentContext() as string | undefined;
    const what = wanted ? `has no context "${wanted}"` : 'says no current context: set KUBE_CONTEXT';
    throw new StatusError('DRIVER_REFUSED', `the kubeconfig ${what}; it has: ${known}`);
  }
  return {
    client: new KubeClient(config, () => load(new KubeConfig())),
    namespace: options.namespace ?? context.namespace ?? 'default',
    name: inCluster ? 'this cluster' : `context ${context.name}`,
  };
}

/** Several files are one configuration, as for kubectl: what comes first wins. */
function readFiles(config: KubeConfig, files: string, another: () => KubeConfig): void {
  const there = files.split(path.delimiter).filter((file) => file !== '' && existsSync(file));
  const [first, ...more] = there;
  if (first === undefined) throw new Error(`${files} is not there: set KUBECONFIG`);
  config.loadFromFile(first);
  for (const file of more) {
    const next = another();
    next.loadFromFile(file);
    config.mergeConfig(next, true);
  }
}
