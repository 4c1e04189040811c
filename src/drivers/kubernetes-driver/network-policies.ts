import type { V1NetworkPolicy, V1NetworkPolicyList } from '@kubernetes/client-node';
import { isKubeError } from './kube-error.js';
import { podLabels } from './names.js';
import type { Cluster } from './open-cluster.js';
import type { KubernetesDriverOptions } from './options.js';

const NAMED = 'deploy/kubernetes holds those that are meant for ships';

/**
 * What nothing keeps ships from, as far as it can be seen: whether a policy selects them. Whether the cluster's network
 * obeys policies at all nobody can ask.
 *
 * @returns texts for people; empty where all is as it should be
 */
export async function checkNetworkPolicies(
  { client, namespace }: Cluster,
  { deploymentId, shipNetwork }: Pick<KubernetesDriverOptions, 'deploymentId' | 'shipNetwork'>,
): Promise<string[]> {
  let policies: V1NetworkPolicy[];
  try {
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
    policies = (await client.request<V1NetworkPolicyList>('GET', path)).items;
  } catch (error) {
    if (!isKubeError(error, 403)) throw error;
    return [`network filter: Bay may not read the NetworkPolicies of namespace ${namespace}`];
  }
  const labels = podLabels(deploymentId, { id: 'any', incarnation: 1 }, shipNetwork);
  const held = (direction: string) => policies.some((policy) => selects(policy, labels, direction));
  const none = `no NetworkPolicy of namespace ${namespace}`;
  return [
    ...(held('Ingress') ? [] : [`network filter: ${none} keeps others from ships' agents; ${NAMED}`]),
    ...(held('Egress') || shipNetwork === 'open'
      ? []
      : [`network filter: ${none} holds ships to SHIP_NETWORK=${shipNetwork}; ${NAMED}`]),
  ];
}

function selects({ spec }: V1NetworkPolicy, labels: Readonly<Record<string, string>>, direction: string): boolean {
  const { matchLabels = {}, matchExpressions = [] } = spec?.podSelector ?? {};
  // Without types a policy is one of ingress, and of egress where it has rules for it.
  const types = spec?.policyTypes ?? ['Ingress', ...(spec?.egress ? ['Egress'] : [])];
  const matches = Object.entries(matchLabels).every(([name, value]) => labels[name] === value);
  return types.includes(direction) && matches && matchExpressions.length === 0;
}
