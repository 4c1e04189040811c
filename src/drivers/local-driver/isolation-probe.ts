import { StatusError } from '../../../proto/rpc/status-error.js';
import { findTool, ownUid, readFileIfThere, readSysctl, runTool } from './host-tools.js';

/** How ships are held on this machine. */
export type IsolationMode =
  /** bubblewrap by root, no user namespace; a uid for each session. */
  | { readonly outer: 'root'; readonly bwrap: string }
  /** bubblewrap unprivileged; a user namespace for the ship and for each session. */
  | { readonly outer: 'user'; readonly bwrap: string }
  /** No bubblewrap: only with LOCAL_DRIVER_ISOLATION=none. */
  | { readonly outer: 'plain' };

const PROBE_TIMEOUT_MS = 5000;

/**
 * Finds out by trying whether a ship's sandbox, and a session's inside it, can be made here.
 *
 * @throws StatusError DRIVER_REFUSED with the reason and the remedy
 */
export async function probeIsolation(options: { uidBase: number; signal: AbortSignal }): Promise<IsolationMode> {
  if (process.platform !== 'linux') {
    throw new StatusError(
      'DRIVER_REFUSED',
      `the local driver needs Linux, and this is ${process.platform}: set CONTAINER_DRIVER=docker-host, which works wherever Docker does`,
    );
  }
  const bwrap = findTool('bwrap');
  if (bwrap === undefined) {
    throw new StatusError(
      'DRIVER_REFUSED',
      'bubblewrap is missing, without which ships have no sandbox: apt-get install -y --no-install-recommends bubblewrap',
    );
  }
  const root = ownUid() === 0;
  const { ok, problem } = await runTool(root ? rootProbe(bwrap, options.uidBase) : userProbe(bwrap), {
    timeoutMs: PROBE_TIMEOUT_MS,
    signal: options.signal,
  });
  options.signal.throwIfAborted();
  if (ok) return { outer: root ? 'root' : 'user', bwrap };
  throw new StatusError(
    'DRIVER_REFUSED',
    `bubblewrap cannot make a sandbox here (${problem}): ${remedy(root, options.uidBase)}`,
    {
      details: { problem },
    },
  );
}

const OUTER = ['--dev-bind', '/', '/', '--proc', '/proc', '--unshare-pid', '--unshare-ipc', '--unshare-net'];
const INNER = [
  '--ro-bind',
  '/',
  '/',
  '--proc',
  '/proc',
  '--dev',
  '/dev',
  '--tmpfs',
  '/tmp',
  '--unshare-pid',
  '--unshare-ipc',
  '--cap-drop',
  'ALL',
];

/** The very nesting of ship and session, as root: at the end an own uid without any capability. */
function rootProbe(bwrap: string, uid: number): string[] {
  const keep = ['--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID'];
  const drop = ['setpriv', '--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups', '--no-new-privs'];
  return [bwrap, ...OUTER, '--', bwrap, ...INNER, ...keep, '--chdir', '/', '--', ...drop, 'true'];
}

function userProbe(bwrap: string): string[] {
  return [
    bwrap,
    ...OUTER,
    '--unshare-user',
    '--',
    bwrap,
    ...INNER,
    '--unshare-user',
    '--uid',
    '1000',
    '--gid',
    '1000',
    '--',
    'true',
  ];
}

/** What an administrator would do about it; the best known causes by their names. */
export function remedy(
  root: boolean,
  uidBase: number,
  sysctl: (name: string) => string | undefined = readSysctl,
): string {
  const optOut = 'or, for code that you trust, set LOCAL_DRIVER_ISOLATION=none';
  if (root) {
    if (!isUidMapped(uidBase))
      return `the uid ${uidBase} does not exist in this user namespace; set LOCAL_UID_BASE to one that does`;
    return `root lacks the right to make namespaces, as in most containers: run Bay on the machine itself or in a privileged container, use CONTAINER_DRIVER=docker-host, ${optOut}`;
  }
  if (sysctl('kernel.apparmor_restrict_unprivileged_userns') === '1') {
    return (
      "Ubuntu's AppArmor restricts unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns=1): give bubblewrap a profile, as root: " +
      `printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) {\\n  userns,\\n}\\n' > /etc/apparmor.d/bwrap && apparmor_parser -r /etc/apparmor.d/bwrap; ${optOut}`
    );
  }
  if (sysctl('kernel.unprivileged_userns_clone') === '0')
    return `unprivileged user namespaces are switched off (kernel.unprivileged_userns_clone=0): sysctl -w kernel.unprivileged_userns_clone=1, ${optOut}`;
  if (sysctl('user.max_user_namespaces') === '0')
    return `user namespaces are switched off (user.max_user_namespaces=0): sysctl -w user.max_user_namespaces=15000, ${optOut}`;
  return `unprivileged user namespaces do not work for this user, as in most containers: run Bay on the machine itself or as root, use CONTAINER_DRIVER=docker-host, ${optOut}`;
}

/** Whether a uid means anything in Bay's user namespace. */
function isUidMapped(uid: number): boolean {
  const ranges = (readFileIfThere('/proc/self/uid_map') ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return ranges.some(([first = NaN, , count = 0]) => uid >= first && uid < first + count);
}
