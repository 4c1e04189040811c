import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Generations } from './generations.js';

describe('kernel generations', () => {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'ship-generations-'));
  afterAll(() => rmSync(stateDir, { recursive: true }));

  it('count on over restarts of the agent, for each session by itself', async () => {
    const first = new Generations(stateDir);
    expect(await first.next('a/../b')).toBe(1);
    expect(await first.next('a/../b')).toBe(2);
    expect(await first.next('ü')).toBe(1);
    expect(await new Generations(stateDir).next('a/../b')).toBe(3);
  });

  it('never start over where the record cannot be read', async () => {
    const [file = ''] = readdirSync(path.join(stateDir, 'kernels'));
    writeFileSync(path.join(stateDir, 'kernels', file), 'x');
    const sessions = await Promise.allSettled(['a/../b', 'ü'].map((id) => new Generations(stateDir).next(id)));
    expect(sessions.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });
});
