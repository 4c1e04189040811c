/** What only the machine's root may ask of the kernel. The same program succeeds outside, in namespaces of its own. */
import { attack, attackOutside, successes, summary, type Attacked } from '../attack.js';
import { breached, held, type Finding, type Probe } from '../probe.js';
import { writeFileSync } from 'node:fs';
import { newSecret } from '../secrets.js';

interface Section {
  /** Of attacks/kernel.py. */
  readonly section: string;
  readonly probe: string;
  readonly attempts: string;
  /** Why the same is not tried outside of a ship. */
  readonly notOutside?: string;
}

const TOUCHES_MACHINE = 'it would touch the machine itself';

const sections: readonly Section[] = [
  { section: 'mounts', probe: 'mount', attempts: 'mount something, in six ways' },
  { section: 'roots', probe: 'change-root', attempts: 'take another root folder' },
  { section: 'namespaces', probe: 'namespaces', attempts: 'make or enter namespaces, user namespaces first of all' },
  { section: 'raw_sockets', probe: 'raw-sockets', attempts: 'open raw sockets' },
  { section: 'packet_sockets', probe: 'packet-sockets', attempts: 'listen to packets' },
  { section: 'network_settings', probe: 'network-settings', attempts: 'change interfaces, addresses or the filter' },
  { section: 'nodes', probe: 'device-nodes', attempts: 'make nodes of devices' },
  { section: 'kernel_memory', probe: 'kernel-memory', attempts: "open the kernel's memory and the machine's disks" },
  {
    section: 'system_controls',
    probe: 'sysctl',
    attempts: 'write to /proc/sys, core_pattern and all',
    notOutside: TOUCHES_MACHINE,
  },
  { section: 'kernel_objects', probe: 'sysfs', attempts: 'write to /sys', notOutside: TOUCHES_MACHINE },
  {
    section: 'control_groups',
    probe: 'cgroups',
    attempts: 'leave its control group, by release_agent and otherwise',
    notOutside: TOUCHES_MACHINE,
  },
  { section: 'keyrings', probe: 'keyrings', attempts: "use the kernel's keyrings" },
  { section: 'programs', probe: 'bpf', attempts: 'load BPF programs' },
  { section: 'performance', probe: 'perf', attempts: 'watch processors by perf' },
  {
    section: 'machine',
    probe: 'machine',
    attempts: 'load modules or kernels, restart, swap',
    notOutside: TOUCHES_MACHINE,
  },
  { section: 'clock', probe: 'clock', attempts: "set the machine's clock", notOutside: TOUCHES_MACHINE },
  { section: 'hostname', probe: 'hostname', attempts: "change the host's name" },
  { section: 'limits', probe: 'limits', attempts: 'raise its limits or its priority' },
  { section: 'terminals', probe: 'terminal-input', attempts: 'push input into a terminal' },
  { section: 'identities', probe: 'identities', attempts: 'become root or another user' },
  { section: 'handles', probe: 'file-handles', attempts: 'open files by number, past every path' },
  {
    section: 'descriptors',
    probe: 'inherited-descriptors',
    attempts: 'use descriptors that it was born with',
    notOutside: 'it is about what Bay was started with',
  },
];

/** Succeeds where any attempt does: each asks for what a ship's code must not get. */
function judge(attacked: Attacked): Finding {
  if (!attacked.attempts.some(({ attempt }) => attempt === 'reach the end'))
    throw new Error(`the attack broke off: ${attacked.output.slice(-500)}`);
  const got = successes(attacked).map(({ attempt, got }) => `${attempt}: ${String(got).slice(0, 100)}`);
  return got.length > 0 ? breached(got.slice(0, 5).join('; ')) : held(summary(attacked));
}

/** Everything that can be had without touching the machine: as root without a user namespace, else with one. */
function unshared(): string[] {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return ['unshare', ...user, '--mount', '--uts', '--ipc', '--net', '--'];
}

async function showOutside(section: string): Promise<string> {
  try {
    const outside = await attackOutside('kernel', { section, outside: true }, { around: unshared() });
    return successes(outside).length > 0 ? 'succeeds outside' : `not shown: outside too ${summary(outside)}`;
  } catch (error) {
    return `not shown: ${error instanceof Error ? error.message.trim().slice(-100) : String(error)}`;
  }
}

const bySection = sections.map(({ section, probe, attempts, notOutside }): Probe => ({
  name: probe,
  attempts,
  async run({ attacker }) {
    const found = judge(await attack(attacker, 'kernel', { section }));
    if (found.verdict !== 'held') return found;
    const outside = notOutside === undefined ? await showOutside(section) : `not tried outside: ${notOutside}`;
    return held(`${found.evidence}; ${outside}`);
  },
}));

/** As an ordinary user, whom the programs then make root. */
const asNobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];

export const kernel: readonly Probe[] = [
  ...bySection,
  {
    name: 'setuid-programs',
    attempts: 'become root by programs with the set-user-ID bit',
    async run({ attacker }) {
      const section = 'setuid_programs';
      const found = judge(await attack(attacker, 'kernel', { section }));
      if (found.verdict !== 'held') return found;
      const around = process.getuid?.() === 0 ? asNobody : [];
      const outside = successes(await attackOutside('kernel', { section }, { around }));
      return held(
        `${found.evidence}; ${outside.length > 0 ? 'succeeds outside' : 'not shown: outside too there is none'}`,
      );
    },
  },
  {
    name: 'kernel-log',
    attempts: "read the kernel's log",
    async run({ attacker }) {
      const secret = newSecret('kernel-log');
      const planted = plantInLog(secret);
      const attacked = await attack(attacker, 'kernel', { section: 'kernel_log' });
      if (attacked.output.includes(secret)) return breached('it holds what was written there outside');
      const outside = planted ? await attackOutside('kernel', { section: 'kernel_log' }) : undefined;
      const shown = outside?.output.includes(secret) ? 'succeeds outside' : 'not shown: this user may not write to it';
      const found = judge(attacked);
      return found.verdict === 'held' ? held(`${found.evidence}; ${shown}`) : found;
    },
  },
];

function plantInLog(text: string): boolean {
  try {
    writeFileSync('/dev/kmsg', `<6>${text}\n`);
    return true;
  } catch {
    return false; // only root may
  }
}
