import { StatusError } from '../../../proto/rpc/status-error.js';
import type { Ship } from '../../ships/ship.js';
import type { Driver, DriverReport, Endpoint, FoundShip, Inspection } from '../driver.js';
import { checkAccountRights } from './account-rights.js';
import { hasClaim, removeClaim } from './claims.js';
import { lastWarning } from './events.js';
import { lostHardening } from './hardening.js';
import { isNotFound, toDriverError } from './kube-error.js';
import { checkNetworkPolicies } from './network-policies.js';
import { deploymentSelector, podName } from './names.js';
import { openCluster, type Cluster } from './open-cluster.js';
import type { KubernetesDriverOptions } from './options.js';
import { UID_BASE } from './pod-spec.js';
import { endOf, endOfChange, isOutOfSight, seenFirst, stateOf } from './pod-state.js';
import { pingCluster } from './ping-cluster.js';
import { PodWatch, type Pod } from './pod-watch.js';
import { readLogs } from './read-logs.js';
import { endpointOf, toFoundShip, toShipHandle } from './ship-handle.js';
import { startShip } from './start-ship.js';
import { removePod } from './stop-ship.js';
import { examplePod, tryShip } from './try-ship.js';

export type { KubernetesDriverOptions, PodTemplate } from './options.js';
export { readPodTemplate } from './pod-template.js';

/**
 * Ships as Pods of a Kubernetes cluster, each with a claim for its workspaces and a Secret for its agent. All that is known
 * of them lies in the cluster, in names and labels of ours, and is read from one watch.
 */
export function createKubernetesDriver(options: KubernetesDriverOptions): Driver {
  return new KubernetesDriver(options);
}

class KubernetesDriver implements Driver {
  readonly name = 'kubernetes';
  readonly uids = { scope: 'ship', base: UID_BASE } as const;
  readonly #options: KubernetesDriverOptions;
  /** What does not hold ships though it should, as check() found it. */
  #unenforced: readonly string[] = [];
  #opened: Promise<{ readonly cluster: Cluster; readonly watch: PodWatch }> | undefined;

  constructor(options: KubernetesDriverOptions) {
    this.#options = options;
  }

  async check(signal: AbortSignal): Promise<DriverReport> {
    const { cluster, watch } = await this.#open();
    const { namespace, name, client } = cluster;
    try {
      const { gitVersion } = await client.request<{ gitVersion: string }>('GET', '/version', { signal });
      await watch.ready();
      const unexplained = await checkAccountRights(cluster);
      const refused = await tryShip(cluster, this.#options);
      this.#unenforced = [...(await checkNetworkPolicies(cluster, this.#options)), ...this.#taken()];
      const { image, shipNetwork, podSecurity } = this.#options;
      return {
        summary: `kubernetes: ${gitVersion} at ${client.server} (${name}), namespace ${namespace}; image ${image}; network ${shipNetwork}; Pod Security ${podSecurity}`,
        network: shipNetwork,
        warnings: [...this.#unenforced, ...this.#ignored(), ...unexplained, ...refused],
      };
    } catch (error) {
      throw toDriverError(`looking at namespace ${namespace}`, error);
    }
  }

  async ping(signal: AbortSignal) {
    const { cluster, watch } = await this.#open();
    await pingCluster(cluster, watch, signal);
  }

  async start(ship: Ship, options: Parameters<Driver['start']>[1]) {
    return startShip({ options: this.#options, ...(await this.#open()), unenforced: this.#unenforced }, ship, options);
  }

  endpoint(handle: Readonly<Record<string, unknown>>): Endpoint {
    const known = toShipHandle(handle);
    if (!known) throw new StatusError('INTERNAL', 'not a handle of the kubernetes driver');
    return endpointOf(known, this.#options);
  }

  async inspect(ship: Ship): Promise<Inspection> {
    const pod = await this.#find(ship);
    const state = pod && stateOf(pod);
    if (!state || state.kind === 'ended') return endOf(pod);
    return isOutOfSight(pod) ? { state: 'running', trouble: await this.#whyOutOfSight(ship) } : { state: 'running' };
  }

  async stop(ship: Ship, { signal }: { signal: AbortSignal }) {
    const { cluster, watch } = await this.#open();
    try {
      await removePod(cluster, watch, this.#nameOf(ship), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      throw toDriverError(`ending ship ${ship.id}`, error);
    }
  }

  async removeData(shipId: string) {
    const { cluster } = await this.#open();
    const act = removeClaim(cluster, shipId, this.#options);
    await act.catch((error: unknown) => Promise.reject(toDriverError(`removing the claim of ship ${shipId}`, error)));
  }

  async hasData(shipId: string): Promise<boolean> {
    const { cluster } = await this.#open();
    const act = hasClaim(cluster, shipId, this.#options);
    return act.catch((error: unknown) =>
      Promise.reject(toDriverError(`looking for the claim of ship ${shipId}`, error)),
    );
  }

  async list(): Promise<FoundShip[]> {
    const { watch } = await this.#open();
    await watch.ready();
    const living = watch.all().filter((pod) => stateOf(pod).kind !== 'ended');
    return living.flatMap((pod) => {
      // Not what others labelled like ours.
      const found = toFoundShip(pod);
      const name = found && podName(this.#options.deploymentId, { id: found.shipId, incarnation: found.incarnation });
      return found && pod.metadata?.name === name ? found : [];
    });
  }

  async *logs(ship: Ship, options: { follow: boolean; signal: AbortSignal }): AsyncIterable<string> {
    yield* readLogs((await this.#open()).cluster, this.#nameOf(ship), options);
  }

  async died(ship: Ship, signal: AbortSignal): Promise<Inspection> {
    const { watch } = await this.#open();
    await watch.ready();
    if (!(await this.#find(ship))) return endOf(undefined);
    return watch.until(this.#nameOf(ship), seenFirst(endOfChange), signal);
  }

  async close() {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.watch.close();
    opened?.cluster.client.close();
  }

  /** From the watch; where that does not know it, or it is about to go, from the server. */
  async #find(ship: Ship): Promise<Pod | undefined> {
    const { cluster, watch } = await this.#open();
    await watch.ready();
    const name = this.#nameOf(ship);
    const known = watch.get(name);
    if (known && !known.metadata?.deletionTimestamp) return known;
    try {
      return await cluster.client.request<Pod>('GET', `${watch.path}/${name}`);
    } catch (error) {
      if (isNotFound(error, name)) return undefined;
      throw toDriverError(`looking for ship ${ship.id}`, error);
    }
  }

  async #whyOutOfSight(ship: Ship): Promise<string> {
    const { cluster } = await this.#open();
    return (await lastWarning(cluster, 'Pod', this.#nameOf(ship))) || 'its node does not answer';
  }

  #taken(): string[] {
    const lost = lostHardening(examplePod(this.#options), this.#options);
    return lost.length > 0 ? [`hardening that KUBE_POD_TEMPLATE takes away: ${lost.join(', ')}`] : [];
  }

  #ignored(): string[] {
    const { shipNetworkAllow } = this.#options;
    if (shipNetworkAllow.length === 0) return [];
    const asked = shipNetworkAllow.map(({ cidr }) => cidr).join(', ');
    return [`SHIP_NETWORK_ALLOW of ${asked} does nothing here: allow it in a NetworkPolicy of the namespace`];
  }

  #nameOf(ship: Ship): string {
    return podName(this.#options.deploymentId, ship);
  }

  #open() {
    this.#opened ??= openCluster(this.#options).then(
      (cluster) => {
        const selector = deploymentSelector(this.#options.deploymentId);
        return { cluster, watch: new PodWatch(cluster, selector, this.#options.logger) };
      },
      (error: unknown) => {
        this.#opened = undefined;
        throw error;
      },
    );
    return this.#opened;
  }
}
