import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../config.js';

/**
 * Evidence that the kernel killed something of this ship because its memory ran out: the cgroup's own count, which
 * grew since it was looked at last. Without a cgroup there is never evidence.
 */
export class OomWatch {
  private count: number;

  constructor(private readonly cgroup: AgentConfig['cgroup']) {
    this.count = this.read();
  }

  /** Whether a kill happened since the last call. Ask only about a process that ended as a killed one does. */
  happened(): boolean {
    const before = this.count;
    this.count = this.read();
    return this.count > before;
  }

  private read(): number {
    if (this.cgroup?.memory === undefined) return 0;
    const file = this.cgroup.version === 2 ? 'memory.events' : 'memory.oom_control';
    try {
      const text = readFileSync(join(this.cgroup.memory, file), 'utf8');
      return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
    } catch {
      return this.count ?? 0; // the cgroup is being removed with the ship: no evidence
    }
  }
}
