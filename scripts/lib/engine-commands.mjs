import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Root has no rootless engine: this system user has it, who has nothing else. Not below /var/lib or /run, which Podman 4
 * covers with folders of its own while it makes the network, the former where there is no /var/lib/cni.
 */
export const ROOTLESS_USER = 'shipyard-rootless';
export const ROOTLESS_HOME = `/home/${ROOTLESS_USER}`;
const RUNTIME = path.join(ROOTLESS_HOME, 'runtime');

const LOW_LIMITS = '["nofile=4096:4096","nproc=4096:4096"]';

/**
 * What starts an engine of our own on a place of its own, and in which environment.
 *
 * @param {import('./engines.mjs').EngineKind} kind
 * @param {{ folder: string, data: string, run: string, socket: string, pid: string }} place
 * @returns {{ command: string[], env: NodeJS.ProcessEnv }}
 */
export function engineCommand(kind, place) {
  if (kind === 'docker') {
    const { data, run, pid, socket } = place;
    const command = ['dockerd', '--data-root', data, '--exec-root', run, '--pidfile', pid, '-H', `unix://${socket}`];
    return { command, env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` } };
  }
  const configuration = path.join(place.folder, 'containers.conf');
  writeFileSync(configuration, containersConf());
  const env = { ...process.env, CONTAINERS_CONF: configuration };
  // Where Podman chooses for itself it takes vfs for a user, which copies the image for every container.
  const storage = kind === 'podman-rootless' ? ['--storage-driver', 'overlay'] : [];
  const folders = ['--root', place.data, '--runroot', place.run, '--tmpdir', path.join(place.run, 'tmp'), ...storage];
  const podman = ['podman', ...folders, 'system', 'service', '--time=0', `unix://${place.socket}`];
  // A shell's pid becomes the service's.
  const command = ['sh', '-c', 'echo $$ > "$0" && exec "$@"', place.pid, ...podman];
  if (!isOfRootlessUser(kind)) return { command, env };
  const { uid, gid } = rootlessUser();
  for (const folder of [ROOTLESS_HOME, place.folder, place.data, place.run, RUNTIME]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chownSync(folder, uid, gid);
  }
  const service = asRootlessUser(command, env);
  return { ...service, command: withTunnels(service.command, place.folder) };
}

/**
 * Users' containers have no network where only root may open the device of tunnels; on most machines everybody may. The
 * command finds it so, and nobody else.
 */
function withTunnels(command, folder) {
  const device = '/dev/net/tun';
  if (!existsSync(device) || (statSync(device).mode & 0o006) === 0o006) return command;
  const script =
    'mount -t tmpfs tun "$0" && mknod -m 666 "$0/tun" c 10 200 && mount --bind "$0/tun" /dev/net/tun && exec "$@"';
  const own = path.join(folder, 'tun');
  mkdirSync(own, { recursive: true });
  return ['unshare', '--mount', 'sh', '-c', script, own, ...command];
}

/** Whether this engine belongs to that user, and not to us. */
export const isOfRootlessUser = (kind) => kind === 'podman-rootless' && process.getuid() === 0;

/** A command as that user runs it. */
export function asRootlessUser(command, env) {
  const { uid, gid } = rootlessUser();
  const become = ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--init-groups', '--'];
  const own = { HOME: ROOTLESS_HOME, XDG_RUNTIME_DIR: RUNTIME, XDG_CACHE_HOME: undefined, XDG_CONFIG_HOME: undefined };
  return { command: [...become, ...command], env: { ...env, ...own } };
}

/** What a machine without systemd, with the old control groups or with low limits needs; harmless on others. */
function containersConf() {
  // Equal, since the Docker-compatible interface of Podman 4 mixes soft and hard up; low, since Podman lowers its own.
  const limits = isBelow('Max open files', 1_048_576) || isBelow('Max processes', 4_194_304) ? LOW_LIMITS : undefined;
  return [
    '[containers]',
    ...(limits ? [`default_ulimits=${limits}`] : []),
    '[network]',
    'network_backend="netavark"',
    '[engine]',
    'events_logger="file"',
    ...(existsSync('/run/systemd/system') ? [] : ['cgroup_manager="cgroupfs"']),
    // crun refuses control groups of both versions at once.
    ...(existsSync('/sys/fs/cgroup/cgroup.controllers') ? [] : ['runtime="runc"']),
    '',
  ].join('\n');
}

/** Whether a hard limit of ours is lower than what Podman asks for by itself. */
function isBelow(row, wanted) {
  const line = readFileSync('/proc/self/limits', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(row));
  return Number(line?.slice(row.length).trim().split(/\s+/)[1]) < wanted;
}

/** Makes the user where it is missing, with a range of subordinate uids. */
function rootlessUser() {
  const idOf = (flag) => Number(spawnSync('id', [flag, ROOTLESS_USER], { encoding: 'utf8' }).stdout.trim() || NaN);
  if (Number.isNaN(idOf('-u'))) {
    const how = [
      '--system',
      '--create-home',
      '--home-dir',
      ROOTLESS_HOME,
      '--user-group',
      '--shell',
      '/usr/sbin/nologin',
    ];
    const { status, stderr } = spawnSync('useradd', [...how, '--add-subids-for-system', ROOTLESS_USER], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`the user ${ROOTLESS_USER} cannot be made: ${stderr.trim()}`);
  }
  return { uid: idOf('-u'), gid: idOf('-g') };
}
