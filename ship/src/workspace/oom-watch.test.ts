import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OomWatch } from './oom-watch.js';

describe('OomWatch', () => {
  let memory: string;
  beforeEach(() => (memory = mkdtempSync(join(tmpdir(), 'shipyard-oom-'))));
  afterEach(() => rmSync(memory, { recursive: true }));

  it.each([
    [2 as const, 'memory.events', (kills: number) => `low 0\noom 1\noom_kill ${kills}\noom_group_kill 0\n`],
    [1 as const, 'memory.oom_control', (kills: number) => `oom_kill_disable 0\nunder_oom 0\noom_kill ${kills}\n`],
  ])('explains one end by one kill, in whose time it falls (cgroup v%d)', (version, file, text) => {
    writeFileSync(join(memory, file), text(2));
    const watch = new OomWatch({ version, memory });
    const first = watch.count();
    expect(watch.explains(first)).toBe(false);
    writeFileSync(join(memory, file), text(3));
    const later = watch.count();
    expect(watch.explains(later)).toBe(false); // work that began after the kill
    expect([watch.explains(first), watch.explains(first)]).toEqual([true, false]);
    writeFileSync(join(memory, file), text(5));
    expect([watch.explains(first), watch.explains(later), watch.explains(later)]).toEqual([true, true, false]);
  });

  it('has no evidence where there is no cgroup', () => {
    expect(new OomWatch(undefined).explains(0)).toBe(false);
    expect(new OomWatch({ version: 2, memory: join(memory, 'gone') }).explains(0)).toBe(false);
  });
});
