import { lstatSync, readlinkSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { AgentConfig } from '../config.js';
import { seccompFilter } from './seccomp-filter.js';
import { sessionOwner, type SessionLayout } from './session-layout.js';
import type { SessionBinding } from './session-runner.js';

/** What starts a session's runner inside its sandbox. The runner's channel is descriptor 3. */
export interface SandboxCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** What descriptors from 4 on must give to read, in order. */
  readonly inputs: readonly Uint8Array[];
  /** Program and arguments that end all of the session, where neither its own end nor a signal of the agent does. */
  readonly end?: readonly [file: string, ...args: string[]];
  /** The program is a guard around the runner (`guard.py`), which ends all of the session on SIGUSR1. */
  readonly guarded?: boolean;
}

/** Parts of /etc that programs look for and that say nothing of the machine; whatever is missing is left out. */
const ETC = [
  'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'nsswitch.conf', 'host.conf', 'gai.conf', 'hosts', 'services', 'protocols',
  'ssl', 'pki', 'ca-certificates', 'ca-certificates.conf', 'alternatives', 'localtime', 'timezone', 'os-release',
  'debian_version', 'mime.types', 'mailcap', 'magic', 'magic.mime', 'fonts', 'terminfo', 'inputrc', 'bash.bashrc',
  'profile', 'profile.d', 'perl', 'matplotlibrc', 'ImageMagick-6', 'ImageMagick-7', 'vim', 'xdg',
]; // prettier-ignore

/** Numerical libraries count the processors here. */
const CPU_LIST = '/sys/devices/system/cpu';

/** The top-level names that a merged /usr has as links. */
const USR_LINKS = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/** What the session's runner becomes, and which walls stand around it. */
export function sandboxCommand(config: AgentConfig, binding: SessionBinding, layout: SessionLayout): SandboxCommand {
  const owner = sessionOwner(config, binding);
  // -I -S: nothing of the session's environment or home takes part; -B: the support directory is not the runner's to write.
  const script = join(layout.supportDir.inside, 'session_runner.py');
  const become = owner === undefined ? [] : ['--uid', String(owner)];
  const python = config.python.executable;
  const args = ['-I', '-S', '-B', '-X', 'utf8', script, ...become];
  const runner = [python, ...args];
  const { sandbox } = config;
  switch (sandbox.kind) {
    case 'none':
      return { file: python, args: [...args, '--guard'], inputs: [], guarded: true };
    case 'uid': {
      const [home, sockets] = [layout.home.outside, layout.socketDir.outside];
      return {
        file: python,
        args: [...args, '--own-user', home, sockets],
        inputs: [],
        end: [python, ...args, '--end', sockets],
      };
    }
    case 'bwrap-uid':
      // The runner leaves root by itself: it becomes untraceable by that, and a process start is saved.
      return inBubblewrap(sandbox.bwrap, [], ['--cap-add', 'CAP_SETUID', '--cap-add', 'CAP_SETGID'], runner);
    case 'bwrap-userns':
      return inBubblewrap(sandbox.bwrap, ['--unshare-user', '--uid', '1000', '--gid', '1000'], [], runner);
  }

  /** The options go through a descriptor: in the command line the session could read where things lie on the host. */
  function inBubblewrap(file: string, first: string[], last: string[], command: string[]): SandboxCommand {
    const filter = seccompFilter();
    const options = [...first, ...bubblewrap(config, layout), ...last, ...(filter ? ['--seccomp', '5'] : [])];
    const inputs = [Buffer.from(options.map((option) => `${option}\0`).join('')), ...(filter ? [filter] : [])];
    return { file, args: ['--args', '4', '--', ...command], inputs };
  }
}

/** What the runner takes away from itself and its session, in hexadecimal digits, where no bubblewrap does it. */
export function ownFilter({ sandbox }: AgentConfig): { filter?: string } {
  const filter = sandbox.kind === 'uid' ? seccompFilter() : undefined;
  return filter ? { filter: filter.toString('hex') } : {};
}

function bubblewrap(config: AgentConfig, layout: SessionLayout): string[] {
  const { home, socketDir, supportDir } = layout;
  const installed = [...config.python.prefixes, ...config.readOnlyPaths].filter(isOutsideUsr);
  return [
    ...[
      '--die-with-parent',
      '--new-session',
      '--unshare-pid',
      '--unshare-ipc',
      '--unshare-uts',
      '--unshare-cgroup-try',
    ],
    ...['--hostname', 'ship', '--clearenv', '--setenv', 'LANG', 'C.UTF-8'],
    ...['--ro-bind', '/usr', '/usr', ...USR_LINKS.flatMap(usrLink)],
    ...['--proc', '/proc', '--dev', '/dev', ...tmpfs(config, '/dev/shm', 1 / 8)],
    ...[...tmpfs(config, '/tmp', 1), ...tmpfs(config, '/run', 1 / 32, '0755')],
    ...parents(['/var/tmp', CPU_LIST, home.inside, socketDir.inside, supportDir.inside, '/etc/passwd', ...installed]),
    ...tmpfs(config, '/var/tmp', 1 / 8),
    ...['--ro-bind-try', CPU_LIST, CPU_LIST],
    ...etc(config, layout),
    ...['--bind', home.outside, home.inside, '--bind', socketDir.outside, socketDir.inside],
    // After the home and /tmp, since an installation may lie under a path that those cover.
    ...installed.flatMap((path) => ['--ro-bind-try', path, path]),
    ...['--ro-bind', supportDir.outside, supportDir.inside],
    // With a user namespace the session's uid owns these.
    ...['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/', '--cap-drop', 'ALL'],
  ];
}

/**
 * Files there lie in the ship's memory, and no kill frees it of them: unbounded, a session could fill its ship for good.
 *
 * @param part of the size of /tmp
 */
function tmpfs({ tmpBytes }: AgentConfig, path: string, part: number, mode = '1777'): string[] {
  const size = tmpBytes === undefined ? [] : ['--size', String(Math.ceil(tmpBytes * part))];
  return [...size, '--perms', mode, '--tmpfs', path];
}

/** bubblewrap makes a missing parent as closed as what is mounted below it; the session's uid must be able to pass. */
function parents(paths: readonly string[]): string[] {
  const found = new Set<string>();
  for (const path of paths) {
    for (let parent = dirname(path); parent !== '/'; parent = dirname(parent)) found.add(parent);
  }
  return [...found].sort().flatMap((path) => ['--perms', '0755', '--dir', path]);
}

function etc(config: AgentConfig, layout: SessionLayout): string[] {
  const resolvConf = config.resolvConf ?? '/etc/resolv.conf';
  return [
    ...ETC.flatMap((name) => ['--ro-bind-try', join('/etc', name), join('/etc', name)]),
    ...[
      '--ro-bind',
      join(layout.scratchDir, 'passwd'),
      '/etc/passwd',
      '--ro-bind',
      join(layout.scratchDir, 'group'),
      '/etc/group',
    ],
    ...['--ro-bind-try', resolvConf, '/etc/resolv.conf'],
  ];
}

function usrLink(name: string): string[] {
  const path = join('/', name);
  try {
    if (lstatSync(path).isSymbolicLink()) return ['--symlink', readlinkSync(path), path];
  } catch {
    return []; // not on this system
  }
  return ['--ro-bind', path, path];
}

function isOutsideUsr(path: string): boolean {
  return isAbsolute(path) && path !== '/usr' && !path.startsWith('/usr/');
}

/**
 * The environment of everything in the session: exactly this, and what the request adds. A PATH that is passed on names more
 * folders: whoever writes it cannot know where the session's own are.
 */
export function sessionEnvironment(
  config: AgentConfig,
  binding: SessionBinding,
  layout: SessionLayout,
): Record<string, string> {
  const { PATH: more, ...environment } = config.environment;
  const system = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return {
    PATH: [`${layout.home.inside}/.venv/bin`, ...(more ? [more] : []), system].join(':'),
    HOME: layout.home.inside,
    USER: config.sandbox.kind === 'uid' ? `session-${binding.uid}` : 'user',
    TERM: 'xterm-256color',
    LANG: 'C.UTF-8',
    ...environment,
  };
}
