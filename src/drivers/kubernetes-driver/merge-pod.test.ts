import { mergePod } from './merge-pod.js';

describe('mergePod', () => {
  it('merges maps field by field and takes away what is null', () => {
    const pod = { spec: { nodeSelector: { a: '1', b: '2' }, hostname: 'ship' } };
    expect(mergePod(pod, { spec: { nodeSelector: { b: null, c: '3' }, priorityClassName: 'low' } })).toEqual({
      spec: { nodeSelector: { a: '1', c: '3' }, hostname: 'ship', priorityClassName: 'low' },
    });
  });

  it('merges containers and their mounts by what names them, and adds others', () => {
    const pod = { containers: [{ name: 'ship', image: 'a', volumeMounts: [{ mountPath: '/tmp', name: 'tmp' }] }] };
    const template = {
      containers: [
        { name: 'ship', volumeMounts: [{ mountPath: '/cache', name: 'cache' }] },
        { name: 'sidecar', image: 'b' },
      ],
    };
    expect(mergePod(pod, template)).toEqual({
      containers: [
        {
          name: 'ship',
          image: 'a',
          volumeMounts: [
            { mountPath: '/tmp', name: 'tmp' },
            { mountPath: '/cache', name: 'cache' },
          ],
        },
        { name: 'sidecar', image: 'b' },
      ],
    });
  });

  it('replaces lists whose items have no name of their own', () => {
    const template = { tolerations: [{ key: 'b' }] };
    expect(mergePod({ tolerations: [{ key: 'a' }] }, template)).toEqual(template);
  });
});
