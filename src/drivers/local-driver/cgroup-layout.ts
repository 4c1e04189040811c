import path from 'node:path';
import { readFileIfThere } from './host-tools.js';

/** A control group hierarchy, as seen from here. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** v1: the controllers it carries, or `name=systemd`; v2: empty, its root file lists them. */
  readonly controllers: readonly string[];
  /** The directory beside Bay's own group; Bay's own where that is the top of what can be seen. */
  readonly home: string;
  /** Bay's group is a service of systemd, which ends everything in it when the service stops. */
  readonly inService: boolean;
}

/**
 * Finds the hierarchies and, in each, the place beside Bay's own group: ships there are neither counted with Bay nor
 * ended with it when its service stops.
 */
export function readHierarchies(
  mountInfo = readFileIfThere('/proc/self/mountinfo') ?? '',
  ownGroups = readFileIfThere('/proc/self/cgroup') ?? '',
): Hierarchy[] {
  const groups = ownGroups
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .flatMap((match) => (match ? [{ controllers: (match[1] ?? '').split(','), path: match[2] ?? '/' }] : []));

  return mountInfo.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '/', mountPoint = ''] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const version = type === 'cgroup2' ? 2 : 1;
    const flags = options.split(',');
    const own = groups.find(({ controllers }) =>
      version === 2 ? controllers.join() === '' : controllers.every((name) => flags.includes(name)),
    );
    if (!own) return [];
    const home = path.resolve(unescapeMount(mountPoint), `.${parentWithin(own.path, root)}`);
    return [
      { version, controllers: version === 2 ? [] : own.controllers, home, inService: own.path.includes('.service') },
    ];
  });
}

/** The parent of Bay's group below the mount's root; a container sees only its own part of the tree. */
function parentWithin(group: string, root: string): string {
  const below =
    root === '/' ? group : group === root ? '/' : group.startsWith(`${root}/`) ? group.slice(root.length) : '/';
  return below.includes('..') ? '/' : path.dirname(below);
}

/** mountinfo writes blanks and backslashes as octal numbers. */
const unescapeMount = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
