import type { V1Pod, V1SecurityContext } from '@kubernetes/client-node';
import { SHIP_CONTAINER } from './pod-state.js';

const OWN_CAPABILITIES = ['SETGID', 'SETUID'];

/** What holds a ship by default and this Pod lacks, since an operator's template took it away: names of fields, for people. */
export function lostHardening({ spec }: V1Pod, { serviceAccount }: { serviceAccount?: string } = {}): string[] {
  const others = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].filter(
    ({ name }) => name !== SHIP_CONTAINER,
  );
  const agent = spec?.containers.find(({ name }) => name === SHIP_CONTAINER)?.securityContext ?? {};
  const seccomp = (agent.seccompProfile ?? spec?.securityContext?.seccompProfile)?.type;
  const lost = {
    hostNetwork: spec?.hostNetwork,
    hostPID: spec?.hostPID,
    hostIPC: spec?.hostIPC,
    shareProcessNamespace: spec?.shareProcessNamespace,
    enableServiceLinks: spec?.enableServiceLinks !== false,
    'automountServiceAccountToken without KUBE_SERVICE_ACCOUNT':
      spec?.automountServiceAccountToken !== false && serviceAccount === undefined,
    'a serviceAccountName that is not KUBE_SERVICE_ACCOUNT': spec?.serviceAccountName !== serviceAccount,
    'volumes with tokens of service accounts': spec?.volumes?.some(({ projected }) =>
      projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken),
    ),
    'volumes of hostPath': spec?.volumes?.some(({ hostPath }) => hostPath),
    seccompProfile: seccomp === undefined || seccomp === 'Unconfined',
    privileged: agent.privileged,
    'privileged containers beside it': others.some(({ securityContext }) => securityContext?.privileged),
    appArmorProfile: (agent.appArmorProfile ?? spec?.securityContext?.appArmorProfile)?.type === 'Unconfined',
    allowPrivilegeEscalation: agent.allowPrivilegeEscalation !== false,
    readOnlyRootFilesystem: !agent.readOnlyRootFilesystem,
    capabilities: hasMoreCapabilities(agent),
    procMount: agent.procMount !== undefined && agent.procMount !== 'Default',
  };
  return Object.entries(lost).flatMap(([field, isLost]) => (isLost ? field : []));
}

function hasMoreCapabilities({ capabilities: { drop = [], add = [] } = {} }: V1SecurityContext): boolean {
  return !drop.includes('ALL') || add.some((name) => !OWN_CAPABILITIES.includes(name));
}
