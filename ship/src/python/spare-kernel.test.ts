import { until } from '../../../proto/rpc/testing/probe-service.js';
import { TestSessions } from './testing/test-session.js';

describe('a kernel that is started ahead', () => {
  let sessions: TestSessions;
  beforeEach(() => (sessions = new TestSessions()));
  afterEach(() => sessions.close());

  const spawned = () => sessions.runner().spawned;
  const untilSpawned = () => until(() => spawned().length > 0, 'its process has started');

  it('is in no list and has no generation until a cell takes it', async () => {
    sessions.kernels.prepare('one');
    await untilSpawned();
    expect(sessions.kernels.list()).toEqual([]);
    expect(sessions.kernels.get('one')).toBeUndefined();
    expect(sessions.changes).toEqual([]);

    const { log } = await sessions.run('print("hello")');

    expect(log.text()).toBe('hello\n');
    expect(log.of('started')).toMatchObject([{ kernelGeneration: 1 }]);
    expect(sessions.kernels.list()).toMatchObject([{ generation: 1, status: 'idle', executionCount: 1 }]);
    expect(spawned()).toHaveLength(1);
  });

  it('is one, however often it is asked for, and none where there is a kernel', async () => {
    sessions.kernels.prepare('one');
    sessions.kernels.prepare('one');
    await sessions.run('1');
    sessions.kernels.prepare('one');
    await sessions.run('1');
    expect(spawned()).toHaveLength(1);
  });

  it('is ended when it is dropped, also while it starts, and a cell starts another', async () => {
    sessions.kernels.prepare('one');
    await untilSpawned();
    sessions.kernels.dropPrepared('one');
    await spawned()[0]?.exited;
    expect((await sessions.run('1')).log.of('started')).toMatchObject([{ kernelGeneration: 1 }]);
    expect(spawned()).toHaveLength(2);
  });

  it('is replaced where it has died', async () => {
    sessions.kernels.prepare('one');
    await untilSpawned();
    spawned()[0]?.kill('SIGKILL');
    await spawned()[0]?.exited;
    expect((await sessions.run('print(1)')).log.text()).toBe('1\n');
  });

  it('ends with its session', async () => {
    sessions.kernels.prepare('one');
    await untilSpawned();
    await sessions.kernels.endSession('one');
    await spawned()[0]?.exited;
  });
});
