import { StatusError } from '../../../proto/rpc/status-error.js';
import { isKubeError } from './kube-error.js';
import type { Cluster } from './open-cluster.js';

interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
}

/** Without any of these no ship lives; docs/kubernetes.md lists them, and those that only explain. */
const NEEDED: readonly Right[] = [
  { group: '', resource: 'pods', verbs: ['create', 'delete', 'get', 'list', 'watch'] },
  { group: '', resource: 'persistentvolumeclaims', verbs: ['create', 'delete', 'get'] },
  { group: '', resource: 'secrets', verbs: ['create'] },
];
const EXPLAINING: readonly Right[] = [
  { group: '', resource: 'pods/log', verbs: ['get'] },
  { group: '', resource: 'events', verbs: ['list'] },
];

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

interface Review {
  readonly status: { readonly resourceRules?: readonly Rule[]; readonly incomplete?: boolean };
}

/**
 * Asks what Bay's account may do, so that a verb that is missing is told at the start and not by ships that never come.
 *
 * @returns what ships can do without; a cluster that does not tell is believed to allow all
 * @throws StatusError DRIVER_REFUSED that names what is missing
 */
export async function checkAccountRights({ client, namespace }: Cluster): Promise<string[]> {
  let review: Review;
  try {
    const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
    review = await client.request<Review>('POST', path, { body: { spec: { namespace } } });
  } catch (error) {
    if (isKubeError(error, 403, 404)) return [];
    throw error;
  }
  const { resourceRules = [], incomplete = false } = review.status;
  if (incomplete) return [];
  const missing = missingOf(resourceRules, NEEDED);
  if (missing.length > 0) throw new StatusError('DRIVER_REFUSED', mayNot(missing, namespace));
  const unexplained = missingOf(resourceRules, EXPLAINING);
  return unexplained.length > 0 ? [mayNot(unexplained, namespace)] : [];
}

const mayNot = (missing: readonly string[], namespace: string): string =>
  `Bay's account may not ${missing.join(', ')} in namespace ${namespace}: give it the Role of deploy/kubernetes/base/rbac.yaml`;

function missingOf(rules: readonly Rule[], rights: readonly Right[]): string[] {
  return rights.flatMap(({ group, resource, verbs }) =>
    verbs
      .filter((verb) => !rules.some((rule) => allows(rule, group, resource, verb)))
      .map((verb) => `${verb} ${resource}`),
  );
}

/** A rule for single names does not count: those of ships are not known before. */
function allows(rule: Rule, group: string, resource: string, verb: string): boolean {
  const { verbs, apiGroups = [], resources = [], resourceNames = [] } = rule;
  const has = (list: readonly string[], ...words: string[]) => words.some((word) => list.includes(word));
  const [, part] = resource.split('/');
  const anyPart = part === undefined ? [] : [`*/${part}`];
  return (
    resourceNames.length === 0 &&
    has(verbs, verb, '*') &&
    has(apiGroups, group, '*') &&
    has(resources, resource, '*', ...anyPart)
  );
}
