import { jest } from '@jest/globals';
import { Sessions } from './sessions.js';
import type { SessionRunner } from './workspace/session-runner.js';

const binding = { sessionId: 's', uid: 10_000, homeName: 'h' };

describe('sessions', () => {
  const closeRunner = jest.fn(async () => undefined);
  const runner = { gone: new Promise<void>(() => undefined), close: closeRunner } as unknown as SessionRunner;
  const open = () => new Sessions(async () => ({ open: async () => runner }), 2);
  const checking = async (sessions: Sessions) => sessions.check('s');

  it('that are not bound have no place here', async () => {
    const sessions = open();
    await expect(checking(sessions)).rejects.toMatchObject({ reason: 'SESSION_NOT_BOUND' });
    await expect(sessions.runner('s')).rejects.toMatchObject({ reason: 'SESSION_NOT_BOUND' });
  });

  it('of a ship that ends go on until they are put out, and hear then that it stops', async () => {
    const sessions = open();
    await sessions.bind(binding);
    sessions.close();
    expect(await sessions.runner('s')).toBe(runner);
    await sessions.unbind('s').close();
    expect(closeRunner).toHaveBeenCalledTimes(1);
    const stopping = { reason: 'SHUTTING_DOWN', message: 'the ship is stopping' };
    await expect(checking(sessions)).rejects.toMatchObject(stopping);
    await expect(sessions.runner('s')).rejects.toMatchObject(stopping);
    await expect(sessions.bind(binding)).rejects.toMatchObject(stopping);
  });
});
