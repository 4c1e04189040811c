import { StatusError } from '../../../proto/rpc/status-error.js';
import { claimFor, claimsPath } from './claims.js';
import { KubeError } from './kube-error.js';
import type { Cluster } from './open-cluster.js';
import type { KubernetesDriverOptions } from './options.js';
import { podFor, type Life } from './pod-spec.js';

/** A small ship, so that it is refused for what all ships have in common. */
const EXAMPLE: Life = { id: 'check', incarnation: 0, spec: { cpus: 0.1, memoryBytes: 256 * 1024 ** 2 } };

export const examplePod = (options: KubernetesDriverOptions) => podFor(EXAMPLE, 'check', options);

/**
 * Asks the API server what it would say of a ship's claim and Pod, without making any: unknown fields of the template, values
 * of a wrong type, Pod Security, quotas.
 *
 * @returns what stands in the way now and may pass
 * @throws StatusError DRIVER_REFUSED where they are no valid objects, as no ship's would be, or there is no such namespace
 */
export async function tryShip(cluster: Cluster, options: KubernetesDriverOptions): Promise<string[]> {
  const { client, namespace } = cluster;
  const query = { dryRun: 'All', fieldValidation: 'Strict' };
  const attempts = [
    { what: 'claim', path: claimsPath(cluster), body: claimFor(EXAMPLE.id, options) },
    { what: 'Pod', path: `/api/v1/namespaces/${namespace}/pods`, body: examplePod(options) },
  ];
  const warnings: string[] = [];
  for (const { what, path, body } of attempts) {
    try {
      await client.request('POST', path, { query, body });
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      const message = `the API server refuses the ${what} of a small ship: ${error.message}`;
      if (mayPass(error)) warnings.push(message);
      else throw new StatusError('DRIVER_REFUSED', `${message}; look at ${source(options)}`, { cause: error });
    }
  }
  return warnings;
}

/** Quotas and levels of security change without Bay. A webhook that fails, or cannot be tried, says nothing of ships. */
const mayPass = ({ status, message }: KubeError): boolean =>
  ![400, 404, 422].includes(status) || /dry.?run/i.test(message);

const source = ({ podTemplate }: KubernetesDriverOptions): string =>
  podTemplate ? 'KUBE_POD_TEMPLATE and the variables KUBE_*' : 'the variables KUBE_*';
