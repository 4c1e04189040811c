import { existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../config.js';

/**
 * Evidence that the kernel killed something of this ship because its memory ran out: the cgroup's own count. A kill
 * explains one end, of a process whose work it falls into. Without a cgroup there is never evidence.
 */
export class OomWatch {
  /** Kills up to this one are told, or happened in work that they did not end. */
  private explained = 0;

  /** Open for the life of the agent: it is read for every cell. */
  private readonly file: number | undefined;
  private readonly text = Buffer.alloc(4096);

  constructor(cgroup: AgentConfig['cgroup']) {
    const path = cgroup === 'container' ? OF_CONTAINER.find((file) => existsSync(file)) : fileOf(cgroup);
    this.file = path === undefined ? undefined : openIfThere(path);
  }

  /** Kills so far; taken when work begins. */
  count(): number {
    return this.read();
  }

  /** Whether a kill since then explains an end that looks like one; no other end is explained by the same. */
  explains(since: number): boolean {
    const unexplained = Math.max(since, this.explained);
    if (this.read() <= unexplained) return false;
    this.explained = unexplained + 1;
    return true;
  }

  private read(): number {
    if (this.file === undefined) return 0;
    try {
      const bytes = readSync(this.file, this.text, 0, this.text.length, 0);
      const text = this.text.toString('latin1', 0, bytes);
      return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
    } catch {
      return 0; // the cgroup is being removed with the ship: no evidence
    }
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined; // as where it cannot be read
  }
}

const FILE_NAMES = { 1: 'memory.oom_control', 2: 'memory.events' } as const;
/** A container sees its own cgroup as the root of them all. */
const OF_CONTAINER = [`/sys/fs/cgroup/memory/${FILE_NAMES[1]}`, `/sys/fs/cgroup/${FILE_NAMES[2]}`];

function fileOf(cgroup: Exclude<AgentConfig['cgroup'], 'container'>): string | undefined {
  return cgroup?.memory === undefined ? undefined : join(cgroup.memory, FILE_NAMES[cgroup.version]);
}
