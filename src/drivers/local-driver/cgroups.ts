import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ShipSpec } from '../../ships/ship.js';
import { readHierarchies, type Hierarchy } from './cgroup-layout.js';
import { hasCode, isMissing, toError } from '../system-error.js';
import { readFileIfThere, runTool } from './host-tools.js';

export type Controller = 'memory' | 'cpu' | 'pids';
const CONTROLLERS: readonly Controller[] = ['memory', 'cpu', 'pids'];

/** What limits can be set on this machine, found by trying. */
export interface CgroupSupport {
  /** Directories of this deployment, below which each ship gets its own; empty where none is writable. */
  readonly parents: readonly ParentGroup[];
  /** Why a controller cannot be used. */
  readonly missing: Readonly<Partial<Record<Controller, string>>>;
}

export interface ParentGroup {
  readonly dir: string;
  readonly version: 1 | 2;
  readonly controllers: readonly Controller[];
  /** Supervisors and network helpers must leave Bay's group here, or they end with Bay's service. */
  readonly holdsHelpers: boolean;
}

/** A ship's own groups; part of its handle. */
export interface ShipCgroup {
  readonly version: 1 | 2;
  readonly dirs: readonly string[];
  /** Where the memory controller tells of the ship. */
  readonly memory?: string;
}

/** For network helpers and supervisors: outside Bay's group, and outside every ship's limits. */
const HELPERS = 'helpers';

/**
 * Finds out which limits can be enforced: makes the deployment's group beside Bay's own in each hierarchy, sets a limit
 * in a trial group and moves a process into it.
 */
export async function probeCgroups(deploymentName: string, signal: AbortSignal): Promise<CgroupSupport> {
  const parents: ParentGroup[] = [];
  const missing: Partial<Record<Controller, string>> = {};
  const hierarchies = readHierarchies();
  for (const hierarchy of hierarchies.filter(isUseful)) {
    const dir = path.join(hierarchy.home, `shipyard-${deploymentName}`);
    const { controllers, problems } = await probeHierarchy(hierarchy, dir, signal);
    Object.assign(missing, problems);
    if (controllers) parents.push({ dir, version: hierarchy.version, controllers, holdsHelpers: hierarchy.inService });
  }
  for (const { controllers } of parents) for (const name of controllers) delete missing[name];
  for (const name of CONTROLLERS) {
    if (!parents.some(({ controllers }) => controllers.includes(name)))
      missing[name] ??=
        hierarchies.length === 0 ? 'no control groups are mounted here' : `this machine has no ${name} controller`;
  }
  return { parents, missing };
}

/** Those with our controllers, and the one by which systemd ends a service's processes. */
function isUseful({ version, controllers, inService }: Hierarchy): boolean {
  if (version === 2) return true; // also without controllers: it ends a whole group at once
  return controllers.some(
    (name) => CONTROLLERS.some((known) => known === name) || (inService && name === 'name=systemd'),
  );
}

async function probeHierarchy(
  hierarchy: Hierarchy,
  dir: string,
  signal: AbortSignal,
): Promise<{ controllers?: Controller[]; problems: Partial<Record<Controller, string>> }> {
  const named =
    hierarchy.version === 1 ? CONTROLLERS.filter((name) => hierarchy.controllers.includes(name)) : CONTROLLERS;
  const problems: Partial<Record<Controller, string>> = {};
  const refuse = (names: readonly Controller[], error: unknown) => {
    for (const name of names) problems[name] = `${hierarchy.home}: ${toError(error).message}`;
  };
  const trial = path.join(dir, `probe-${process.pid}`);
  try {
    mkdirSync(dir, { recursive: true });
    if (hierarchy.version === 2) enableControllers(dir, CONTROLLERS, refuse);
    mkdirSync(trial, { recursive: true });
    const joined = await runTool(['/bin/sh', '-c', 'echo 0 > "$0/cgroup.procs"', trial], { timeoutMs: 5000, signal });
    if (!joined.ok) throw new Error(`a process cannot be moved there: ${joined.problem}`);
    const usable = named.filter((name) => {
      try {
        writeLimit(trial, hierarchy.version, name, TRIAL_LIMITS);
        return true;
      } catch (error) {
        refuse([name], error);
        return false;
      }
    });
    return { controllers: usable, problems };
  } catch (error) {
    refuse(named, error);
    return { problems };
  } finally {
    await removeGroup(trial);
    await removeGroup(dir);
  }
}

/** Turns the controllers on for the deployment's group and its children; one that refuses stays off. */
function enableControllers(
  dir: string,
  controllers: readonly Controller[],
  refuse: (names: readonly Controller[], error: unknown) => void,
): void {
  for (const name of controllers) {
    for (const group of [path.dirname(dir), dir]) {
      if ((readFileIfThere(path.join(group, 'cgroup.subtree_control')) ?? '').split(/\s+/).includes(name)) continue;
      try {
        writeFileSync(path.join(group, 'cgroup.subtree_control'), `+${name}`);
      } catch (error) {
        refuse([name], error);
      }
    }
  }
}

interface Limits {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
}
const TRIAL_LIMITS: Limits = { memoryBytes: 64 * 1024 * 1024, cpus: 1, pids: 64 };
const CPU_PERIOD_US = 100_000;
/** The kernel refuses quotas below 1 ms. */
const MIN_CPU_QUOTA_US = 1000;

function writeLimit(dir: string, version: 1 | 2, controller: Controller, limits: Limits): void {
  const write = (file: string, value: string | number) => writeFileSync(path.join(dir, file), String(value));
  const quota = Math.max(MIN_CPU_QUOTA_US, Math.round(limits.cpus * CPU_PERIOD_US));
  switch (controller) {
    case 'memory':
      write(version === 2 ? 'memory.max' : 'memory.limit_in_bytes', limits.memoryBytes);
      // Without this a ship would go on in swap. Kernels without swap accounting do not have the file.
      writeOptional(
        dir,
        version === 2 ? 'memory.swap.max' : 'memory.memsw.limit_in_bytes',
        version === 2 ? 0 : limits.memoryBytes,
      );
      break;
    case 'cpu':
      if (version === 2) return write('cpu.max', `${quota} ${CPU_PERIOD_US}`);
      write('cpu.cfs_period_us', CPU_PERIOD_US);
      write('cpu.cfs_quota_us', quota);
      break;
    case 'pids':
      write('pids.max', limits.pids);
      break;
  }
}

function writeOptional(dir: string, file: string, value: number): void {
  if (readFileIfThere(path.join(dir, file)) !== undefined) writeFileSync(path.join(dir, file), String(value));
}

/** Makes a ship's groups with its limits; what is 0 in the spec is not limited. */
export function createShipCgroup(
  support: CgroupSupport,
  name: string,
  spec: ShipSpec & { readonly pids: number },
): { cgroup?: ShipCgroup; limits: Controller[] } {
  const limits: Controller[] = [];
  const dirs: string[] = [];
  let memory: ShipCgroup['memory'];
  for (const parent of support.parents) {
    const dir = path.join(parent.dir, name);
    makeGroup(parent, dir);
    dirs.push(dir);
    for (const controller of parent.controllers) {
      if ((controller === 'memory' && spec.memoryBytes <= 0) || (controller === 'cpu' && spec.cpus <= 0)) continue;
      writeLimit(dir, parent.version, controller, spec);
      limits.push(controller);
      if (controller === 'memory') memory = dir;
    }
  }
  const version =
    support.parents.find(({ controllers }) => controllers.includes('memory'))?.version ?? support.parents[0]?.version;
  return version === undefined ? { limits } : { cgroup: { version, dirs, ...(memory ? { memory } : {}) }, limits };
}

/** The deployment's group goes with its last ship; a start may meet that, and begins again. */
function makeGroup(parent: ParentGroup, dir: string): void {
  for (let attempt = 0; ; attempt += 1) {
    try {
      mkdirSync(parent.dir, { recursive: true });
      if (parent.version === 2) {
        enableControllers(parent.dir, parent.controllers, (_names, error) => {
          throw error;
        });
      }
      mkdirSync(dir, { recursive: true });
      return;
    } catch (error) {
      if (!isMissing(error) || attempt === 5) throw error;
    }
  }
}

/** The groups that supervisors and network helpers move to. */
export function makeHelperGroups(support: CgroupSupport): string[] {
  return support.parents
    .filter(({ holdsHelpers }) => holdsHelpers)
    .map((parent) => {
      const dir = path.join(parent.dir, HELPERS);
      makeGroup(parent, dir);
      return dir;
    });
}

/** How often the kernel killed a process of this ship for want of memory; undefined where it does not say. */
export function readOomKills(cgroup: ShipCgroup | undefined): number | undefined {
  if (!cgroup?.memory) return undefined;
  const file = path.join(cgroup.memory, cgroup.version === 2 ? 'memory.events' : 'memory.oom_control');
  const match = /^oom_kill (\d+)$/m.exec(readFileIfThere(file) ?? '');
  return match ? Number(match[1]) : undefined;
}

/** Ends whatever is left in a ship's groups; for what a pid namespace does not hold. */
export function killShipCgroup(cgroup: ShipCgroup | undefined): void {
  for (const dir of cgroup?.dirs ?? []) {
    try {
      writeFileSync(path.join(dir, 'cgroup.kill'), '1');
      continue;
    } catch (error) {
      if (!isMissing(error) && !hasCode(error, 'EACCES', 'EPERM', 'EINVAL', 'EOPNOTSUPP')) throw error;
    }
    // Version 1 and kernels before 5.14: one by one. Who forks meanwhile is met at the next look.
    for (const pid of (readFileIfThere(path.join(dir, 'cgroup.procs')) ?? '').split('\n').map(Number)) {
      if (pid > 0) killOne(pid);
    }
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

export function isCgroupEmpty(cgroup: ShipCgroup | undefined): boolean {
  return (cgroup?.dirs ?? []).every((dir) => !(readFileIfThere(path.join(dir, 'cgroup.procs')) ?? '').trim());
}

export async function removeShipCgroup(cgroup: ShipCgroup | undefined): Promise<void> {
  for (const dir of cgroup?.dirs ?? []) {
    await removeGroup(dir);
    await removeGroup(path.dirname(dir)); // the deployment's, where this was the last
  }
}

/** A group stays busy for a moment after its last process ended. */
async function removeGroup(dir: string): Promise<boolean> {
  for (let waitMs = 1; ; waitMs *= 2) {
    try {
      rmdirSync(dir);
      return true;
    } catch (error) {
      if (isMissing(error)) return true;
      if (!hasCode(error, 'EBUSY') || hasChildren(dir) || waitMs > 500) return false;
    }
    await sleep(waitMs);
  }
}

function hasChildren(dir: string): boolean {
  try {
    return readdirSync(dir, { withFileTypes: true }).some((entry) => entry.isDirectory());
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Removes empty groups of ships that no longer exist. */
export async function sweepCgroups(support: CgroupSupport, isKnown: (name: string) => boolean): Promise<void> {
  for (const { dir } of support.parents) {
    if (!existsSync(dir)) continue;
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (!entry.isDirectory() || entry.name === HELPERS || isKnown(entry.name)) continue;
      if (!(readFileIfThere(path.join(dir, entry.name, 'cgroup.procs')) ?? '').trim())
        await removeGroup(path.join(dir, entry.name));
    }
  }
}
