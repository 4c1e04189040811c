import { readFileSync, readdirSync } from 'node:fs';

/** Resident memory of a process in MiB, shared pages included. */
export function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

/** Live processes whose command line holds the text, without this one. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text) &&
          !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
        );
      } catch {
        return false; // ended in between
      }
    });
}

/** Waits until a condition holds, looking every 20 ms; the deadline is generous, since it only bounds a failure. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not so within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The agent of a ship of the local driver, by the configuration that it was started with. */
export function agentOf(shipId: string): number {
  const agents = processesWith('ship/run.cjs').filter((pid) => {
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return argv[0] === process.execPath && readFileSync(argv.at(-1) ?? '', 'utf8').includes(shipId);
  });
  if (agents.length !== 1) throw new Error(`${agents.length} agents of ship ${shipId}`);
  return agents[0] ?? 0;
}
