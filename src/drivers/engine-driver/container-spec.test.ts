import { testShip } from '../testing/test-ship.js';
import { isolationOf } from './container-spec.js';

const limits = { memory: true, swap: true, cpu: true, pids: true };
const policy = { network: 'internet', missing: [] } as const;
const docker = { kind: 'docker', rootless: false, limits, defaultRuntime: 'runc' } as const;

describe('the isolation of a ship in a container', () => {
  it('names the runtime that was asked for, else that of the engine', () => {
    expect(isolationOf(testShip('a'), { engine: docker, policy }, {})).toMatchObject({ runtime: 'runc' });
    const asked = isolationOf(testShip('a'), { engine: docker, policy }, { runtime: 'runsc' });
    expect(asked).toMatchObject({ kind: 'container', network: 'internet', runtime: 'runsc' });
    const silent = { ...docker, defaultRuntime: undefined };
    expect(isolationOf(testShip('a'), { engine: silent, policy }, {})).not.toHaveProperty('runtime');
  });

  it('tells limits in force from those that the engine cannot set, with the reason', () => {
    const engine = { ...docker, rootless: true, limits: { ...limits, cpu: false, swap: false } };
    const isolation = isolationOf(testShip('a'), { engine, policy }, {});
    expect(isolation.limits).toEqual(['memory', 'pids', 'nofile']);
    expect(isolation.missing).toEqual([
      'cpu limit: docker without root cannot set it on this machine',
      'swap limit: the kernel does not count it',
      expect.stringMatching(/^disk quota: /),
    ]);
  });
});
