import { lostHardening } from './hardening.js';
import { podFor } from './pod-spec.js';
import type { PodTemplate } from './options.js';
import { kubernetesShip } from './testing/kubernetes-ships.js';
import { TEST_OPTIONS } from './testing/test-options.js';

const lostWith = (spec: PodTemplate['spec'], options = {}) =>
  lostHardening(
    podFor(kubernetesShip('a'), 'secret', { ...TEST_OPTIONS, ...options, podTemplate: { spec: spec ?? {} } }),
    options,
  );

describe('what a template takes away of the hardening', () => {
  it.each([
    ['nothing, where it has other things to say', { nodeSelector: { disk: 'fast' } }, []],
    ['a network of its own', { hostNetwork: true }, ['hostNetwork']],
    [
      'what holds the container',
      { containers: [{ name: 'ship', securityContext: { privileged: true, readOnlyRootFilesystem: false } }] },
      ['privileged', 'readOnlyRootFilesystem'],
    ],
    ['the bound of capabilities', addedCapability('NET_ADMIN'), ['capabilities']],
    [
      'all at once',
      { containers: [{ name: 'ship', securityContext: null }] },
      ['allowPrivilegeEscalation', 'readOnlyRootFilesystem', 'capabilities'],
    ],
    ['the seccomp profile', { securityContext: null }, ['seccompProfile']],
    ['AppArmor', { securityContext: { appArmorProfile: { type: 'Unconfined' } } }, ['appArmorProfile']],
    [
      "the node, to a container beside the agent's",
      { containers: [{ name: 'side', securityContext: { privileged: true } }] },
      ['privileged containers beside it'],
    ],
    [
      'a token of the cluster, in a volume',
      { volumes: [{ name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }] },
      ['volumes with tokens of service accounts'],
    ],
    ['the distance to the node', { volumes: [{ name: 'node', hostPath: { path: '/' } }] }, ['volumes of hostPath']],
  ])('%s', (_what, spec, lost) => {
    expect(lostWith(spec as PodTemplate['spec'])).toEqual(lost);
  });

  it('is nothing where the configuration itself gives a service account', () => {
    expect(lostWith({}, { serviceAccount: 'ships' })).toEqual([]);
    expect(lostWith({ automountServiceAccountToken: true })).toEqual([
      'automountServiceAccountToken without KUBE_SERVICE_ACCOUNT',
    ]);
    expect(lostWith({ serviceAccountName: 'shipyard-bay', automountServiceAccountToken: true })).toEqual([
      'automountServiceAccountToken without KUBE_SERVICE_ACCOUNT',
      'a serviceAccountName that is not KUBE_SERVICE_ACCOUNT',
    ]);
  });
});

function addedCapability(name: string) {
  return { containers: [{ name: 'ship', securityContext: { capabilities: { add: [name] } } }] };
}
