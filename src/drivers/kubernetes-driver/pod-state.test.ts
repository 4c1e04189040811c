import type { V1PodStatus } from '@kubernetes/client-node';
import { endOf, endOfChange, isOutOfSight, seenFirst, stateOf } from './pod-state.js';

/** As the API server writes it, where instants are texts. */
const pod = (status: object, metadata: object = {}) => ({ metadata, status: status as V1PodStatus });
const agent = (state: object, status: object = { phase: 'Running' }) =>
  pod({ ...status, podIP: '10.0.0.7', containerStatuses: [{ name: 'ship', state }] });
const disrupted = (reason: string, message: string) =>
  pod({ phase: 'Failed', conditions: [{ type: 'DisruptionTarget', status: 'True', reason, message }] });

describe('what a Pod says', () => {
  it.each([
    ['that it runs, and where', agent({ running: {} }), { kind: 'running', address: '10.0.0.7' }],
    ['nothing yet', pod({}), { kind: 'waiting', words: 'the Pod is new', final: false }],
    [
      'that its container is being made, which is no reason',
      agent({ waiting: { reason: 'ContainerCreating' } }, { phase: 'Pending' }),
      { kind: 'waiting', words: 'the Pod is Pending', final: false },
    ],
    [
      'that no node takes it',
      pod({
        phase: 'Pending',
        conditions: [
          {
            ...{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' },
            message: '0/1 nodes are available:\n  1 Insufficient cpu.',
          },
        ],
      }),
      { kind: 'waiting', words: 'Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.', final: false },
    ],
    [
      'that an image does not come, which may pass',
      agent({ waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "a"' } }, { phase: 'Pending' }),
      { kind: 'waiting', words: 'ImagePullBackOff: Back-off pulling image "a"', final: false },
    ],
    [
      'that an image may not be pulled, which will not pass',
      agent({ waiting: { reason: 'ErrImageNeverPull' } }, { phase: 'Pending' }),
      { kind: 'waiting', words: 'ErrImageNeverPull', final: true },
    ],
    [
      'that a container of the template holds it up',
      pod({
        phase: 'Pending',
        initContainerStatuses: [{ name: 'before', state: { waiting: { reason: 'CrashLoopBackOff', message: 'x' } } }],
        containerStatuses: [{ name: 'ship', state: { waiting: { reason: 'PodInitializing' } } }],
      }),
      { kind: 'waiting', words: 'CrashLoopBackOff: x', final: false },
    ],
  ])('%s', (_what, said, state) => {
    expect(stateOf(said)).toEqual(state);
  });
});

describe('how a Pod ended', () => {
  it.each([
    [
      'evicted by its node',
      pod({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' }),
      'Evicted: The node was low on resource: memory.',
    ],
    [
      'with a node that is lost',
      pod({ phase: 'Failed', reason: 'NodeLost', message: 'n1 is gone' }),
      'NodeLost: n1 is gone',
    ],
    [
      'for another Pod of more priority',
      disrupted('PreemptionByScheduler', 'default-scheduler: preempting to accommodate a higher priority pod'),
      'PreemptionByScheduler: default-scheduler: preempting to accommodate a higher priority pod',
    ],
    [
      'with a node that does not answer',
      disrupted('DeletionByTaintManager', 'Taint manager: deleting due to NoExecute taint'),
      'DeletionByTaintManager: Taint manager: deleting due to NoExecute taint',
    ],
    ['by hand', pod({ phase: 'Running' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }), 'its Pod was deleted'],
    ['by itself', agent({ terminated: { exitCode: 3, reason: 'Error' } }), 'the agent ended with exit code 3'],
    [
      'by a signal, after some process of it had no memory',
      agent({ terminated: { exitCode: 143, reason: 'OOMKilled' } }),
      'the agent was ended by signal 15',
    ],
    [
      'before it began, with a container of the template',
      pod({
        phase: 'Failed',
        initContainerStatuses: [{ name: 'fetch', state: { terminated: { exitCode: 7, reason: 'Error' } } }],
        containerStatuses: [{ name: 'ship', state: { waiting: { reason: 'PodInitializing' } } }],
      }),
      'init container fetch ended with exit code 7',
    ],
    ['unseen', undefined, 'the cluster has no Pod of it'],
  ])('%s', (_what, last, reason) => {
    expect(endOf(last)).toEqual({ state: 'gone', reason });
  });

  it('for want of memory, where the cluster says so of the agent itself', () => {
    expect(endOf(agent({ terminated: { exitCode: 137, reason: 'OOMKilled' } }))).toEqual({
      ...{ state: 'gone', oom: true },
      reason: 'OOMKilled: the kernel ended it for want of memory',
    });
  });

  it('is told of one that the cluster has no more, and of none that was never seen', () => {
    const judge = seenFirst(endOfChange);
    expect(judge({ last: undefined })).toBeUndefined();
    const running = agent({ running: {} });
    expect(judge({ pod: running })).toBeUndefined();
    expect(judge({ last: running })).toEqual({ state: 'gone', reason: 'its Pod was deleted' });
  });
});

describe('a Pod that runs', () => {
  const withConditions = (conditions: Record<string, string>) =>
    pod({ conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })) });

  it.each([
    ['is out of sight where its node does not answer', { Ready: 'False', ContainersReady: 'True' }, true],
    ['is in sight while it is ready', { Ready: 'True', ContainersReady: 'True' }, false],
    ['is in sight where its own node calls it unready', { Ready: 'False', ContainersReady: 'False' }, false],
  ])('%s', (_what, conditions, expected) => {
    expect(isOutOfSight(withConditions(conditions))).toBe(expected);
  });
});
