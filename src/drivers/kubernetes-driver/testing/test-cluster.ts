import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from '../kube-client.js';

/**
 * The cluster that tests may use, or why there is none. A developer's own KUBECONFIG may name a cluster that is not for
 * tests, so that `npm run test:kubernetes` alone says which one it is.
 */
export const TEST_KUBECONFIG = process.env.SHIPYARD_TEST_KUBECONFIG || undefined;
/** Image of ships that the cluster has, or can pull. */
export const TEST_IMAGE = process.env.SHIPYARD_TEST_KUBE_IMAGE || 'ship:latest';

/** A suite that needs a cluster; where there is none it is skipped, and its name says why. */
export const describeInCluster: typeof describe.skip = TEST_KUBECONFIG
  ? describe
  : (((name: string, suite: () => void) =>
      describe.skip(`${name} (needs a cluster: npm run test:kubernetes)`, suite)) as typeof describe.skip);

export function openTestClient(kubeconfig = TEST_KUBECONFIG): KubeClient {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig ?? '');
  return new KubeClient(config);
}

/** A namespace of its own, with the Pod Security level that is asked for. Dispose removes it and all that is in it. */
export class TestNamespace implements AsyncDisposable {
  private constructor(
    readonly client: KubeClient,
    readonly name: string,
  ) {}

  static async make(level: 'baseline' | 'restricted' | 'privileged' = 'baseline'): Promise<TestNamespace> {
    const client = openTestClient();
    const metadata = {
      generateName: 'shipyard-test-',
      labels: { 'pod-security.kubernetes.io/enforce': level },
    };
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata };
    const made = await client.request<{ metadata: { name: string } }>('POST', '/api/v1/namespaces', { body });
    return new TestNamespace(client, made.metadata.name);
  }

  /** The path of a kind's objects, or of one of them. */
  path(plural: string, name?: string): string {
    return `/api/v1/namespaces/${this.name}/${plural}${name === undefined ? '' : `/${name}`}`;
  }

  async names(plural: string): Promise<string[]> {
    const { items } = await this.client.request<{ items: { metadata: { name: string } }[] }>('GET', this.path(plural));
    return items.map(({ metadata }) => metadata.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.request('DELETE', `/api/v1/namespaces/${this.name}`);
    this.client.close();
  }
}
