import { PassThrough } from 'node:stream';
import { Exec, KubeConfig, type V1Status } from '@kubernetes/client-node';
import { KubeClient } from '../kube-client.js';
import { LABEL } from '../names.js';
import { SHIP_CONTAINER } from '../pod-state.js';

/**
 * The cluster that tests may use, or why there is none. A developer's own KUBECONFIG may name a cluster that is not for
 * tests, so that `npm run test:kubernetes` alone says which one it is.
 */
export const TEST_KUBECONFIG = process.env.SHIPYARD_TEST_KUBECONFIG || undefined;
/** Where the test cluster keeps its state; undefined for a cluster of somebody else, whose nodes and daemons are left alone. */
export const OWN_CLUSTER_FOLDER = process.env.SHIPYARD_TEST_KUBE_FOLDER || undefined;
/** Image of ships that the cluster has, or can pull. */
export const TEST_IMAGE = process.env.SHIPYARD_TEST_KUBE_IMAGE || 'ship:latest';

/** A suite that needs a cluster; where there is none it is skipped, and its name says why. */
export const describeInCluster: typeof describe.skip = TEST_KUBECONFIG
  ? describe
  : (((name: string, suite: () => void) =>
      describe.skip(`${name} (needs a cluster: npm run test:kubernetes)`, suite)) as typeof describe.skip);

function testConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(TEST_KUBECONFIG ?? '');
  return config;
}

export const openTestClient = (): KubeClient => new KubeClient(testConfig());

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

  /** One that is there, and stays. */
  static at(name: string): Omit<TestNamespace, typeof Symbol.asyncDispose> {
    return new TestNamespace(openTestClient(), name);
  }

  /** The path of a kind's objects, or of one of them. */
  path(plural: string, name?: string): string {
    return `/api/v1/namespaces/${this.name}/${plural}${name === undefined ? '' : `/${name}`}`;
  }

  async names(plural: string, labelSelector?: string): Promise<string[]> {
    interface List {
      readonly items: readonly { readonly metadata: { readonly name: string } }[];
    }
    const { items } = await this.client.request<List>('GET', this.path(plural), { query: { labelSelector } });
    return items.map(({ metadata }) => metadata.name);
  }

  /** All that drivers made here, whatever its kind. */
  async ofShips(): Promise<string[]> {
    const kinds = ['pods', 'persistentvolumeclaims', 'secrets'];
    return (await Promise.all(kinds.map((kind) => this.names(kind, `${LABEL.managedBy}=shipyard`)))).flat();
  }

  async remove(plural: string, name: string, query: { gracePeriodSeconds?: number } = {}): Promise<void> {
    await this.client.request('DELETE', this.path(plural, name), { query });
  }

  async evict(pod: string): Promise<void> {
    const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace: this.name } };
    await this.client.request('POST', `${this.path('pods', pod)}/eviction`, { body });
  }

  /**
   * Runs a command in a Pod, with the user of its container, as an administrator may.
   *
   * @returns its exit code, -1 where the container ended under it, and all that it wrote
   */
  exec(pod: string, argv: string[], container = SHIP_CONTAINER): Promise<{ code: number; output: string }> {
    let output = '';
    const stream = new PassThrough().on('data', (data: Buffer) => (output += data.toString()));
    return new Promise((resolve, reject) => {
      const onStatus = (status: V1Status) => resolve({ code: exitCodeOf(status), output });
      new Exec(testConfig())
        .exec(this.name, pod, container, argv, stream, stream, null, false, onStatus)
        .then((socket: EventTarget) => {
          socket.addEventListener('close', () => resolve({ code: -1, output }));
        }, reject);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.request('DELETE', `/api/v1/namespaces/${this.name}`);
    this.client.close();
  }
}

function exitCodeOf({ status, details }: V1Status): number {
  if (status === 'Success') return 0;
  return Number(details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message ?? -1);
}
