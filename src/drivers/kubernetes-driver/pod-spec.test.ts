import { isolationOf, podFor } from './pod-spec.js';
import type { KubernetesDriverOptions } from './options.js';
import { kubernetesShip } from './testing/kubernetes-ships.js';
import { TEST_OPTIONS } from './testing/test-options.js';

const ship = kubernetesShip('a', { spec: { cpus: 0.25, memoryBytes: 400 } });
const podWith = (options: Partial<KubernetesDriverOptions>, of = ship) =>
  podFor(of, 'secret', { ...TEST_OPTIONS, ...options });
const specWith = (options: Partial<KubernetesDriverOptions> = {}, of = ship) => podWith(options, of).spec;
const isolationWith = (options: Partial<KubernetesDriverOptions>) =>
  isolationOf(ship, podWith(options), { ...TEST_OPTIONS, ...options }, []);
const agentOf = (spec: ReturnType<typeof specWith>) => spec?.containers.find(({ name }) => name === 'ship');

describe('the Pod of a ship', () => {
  it('has no right that it does not need', () => {
    const spec = specWith();
    expect(spec).toMatchObject({
      ...{ automountServiceAccountToken: false, enableServiceLinks: false, restartPolicy: 'Never' },
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(agentOf(spec)?.securityContext).toEqual({
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
      capabilities: { drop: ['ALL'], add: ['SETGID', 'SETUID'] },
    });
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'serviceAccountName', 'hostUsers'])
      expect(spec).not.toHaveProperty(field);
  });

  it('has one user and no capability where Pod Security restricted is asked for', () => {
    const spec = specWith({ podSecurity: 'restricted' });
    expect(spec?.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10_000, fsGroup: 10_000 });
    expect(agentOf(spec)?.securityContext?.capabilities).toEqual({ drop: ['ALL'] });
    expect(isolationWith({ podSecurity: 'restricted' }).missing.join()).toContain('a user for the session');
  });

  it('is given what the spec of the ship says, and a bound for the disk', () => {
    const { requests, limits } = agentOf(specWith())?.resources ?? {};
    expect(requests).toMatchObject({ cpu: '250m', memory: '400' });
    expect(limits).toEqual({ cpu: '250m', memory: '400', 'ephemeral-storage': `${2 * 1024 ** 3}` });
    const unlimited = kubernetesShip('a', { spec: { cpus: 0, memoryBytes: 0 } });
    expect(Object.keys(agentOf(specWith({}, unlimited))?.resources?.limits ?? {})).toEqual(['ephemeral-storage']);
  });

  it('has a /tmp in memory, of a quarter of it', () => {
    const tmpOf = (spec: ReturnType<typeof specWith>) => spec?.volumes?.find(({ name }) => name === 'tmp')?.emptyDir;
    expect(tmpOf(specWith())).toEqual({ medium: 'Memory', sizeLimit: '100' });
    const onDisk = { volumes: [{ name: 'tmp', emptyDir: { medium: '', sizeLimit: '10Gi' } }] };
    expect(tmpOf(specWith({ podTemplate: { spec: onDisk } }))).toEqual({ medium: '', sizeLimit: '10Gi' });
  });

  it('takes from the configuration where it runs, and as whom', () => {
    const options = { serviceAccount: 'ships', hostUsers: false, runtimeClass: 'gvisor', imagePullSecret: 'registry' };
    expect(specWith(options)).toMatchObject({
      ...{ serviceAccountName: 'ships', automountServiceAccountToken: true, hostUsers: false },
      ...{ runtimeClassName: 'gvisor', imagePullSecrets: [{ name: 'registry' }] },
    });
  });

  it('names in its isolation the RuntimeClass that it has, by the configuration or by a template', () => {
    const runtimeClass = 'gvisor';
    expect(isolationWith({})).not.toHaveProperty('runtime');
    expect(isolationWith({ runtimeClass })).toMatchObject({ kind: 'container', runtime: 'gvisor' });
    const podTemplate = { spec: { runtimeClassName: 'kata' } };
    expect(isolationWith({ runtimeClass, podTemplate })).toMatchObject({ runtime: 'kata' });
  });

  it('is merged with the template, which changes neither how long it lives nor what it is found by', () => {
    const labels = { team: 'agents', 'app.kubernetes.io/component': 'other' };
    const podTemplate = {
      metadata: { labels, annotations: { 'example.org/a': 'b' } },
      spec: { restartPolicy: 'Always', nodeSelector: { disk: 'fast' }, containers: [{ name: 'sidecar', image: 'x' }] },
    };
    const { metadata, spec } = podWith({ podTemplate });
    expect(metadata?.labels).toMatchObject({ team: 'agents', 'app.kubernetes.io/component': 'ship' });
    expect(metadata?.annotations).toMatchObject({ 'example.org/a': 'b' });
    expect(spec).toMatchObject({ restartPolicy: 'Never', nodeSelector: { disk: 'fast' } });
    expect(spec?.containers.map(({ name }) => name)).toEqual(['ship', 'sidecar']);
  });
});
