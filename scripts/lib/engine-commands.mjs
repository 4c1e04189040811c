import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Root has no rootless engine: this system user has it, who has nothing else. */
export const ROOTLESS_USER = 'shipyard-rootless';
export const ROOTLESS_HOME = `/var/lib/${ROOTLESS_USER}`;

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
  const service = ['podman', ...folders, 'system', 'service', '--time=0', `unix://${place.socket}`];
  // A shell's pid becomes the service's.
  const command = ['sh', '-c', 'echo $$ > "$0" && exec "$@"', place.pid, ...service];
  return kind === 'podman-rootless' && process.getuid() === 0 ? asRootlessUser(command, env, place) : { command, env };
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

function asRootlessUser(command, env, place) {
  const { uid, gid } = rootlessUser();
  const runtime = path.join(place.folder, 'runtime');
  for (const folder of [ROOTLESS_HOME, place.folder, place.data, place.run, place.users, runtime]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chownSync(folder, uid, gid);
  }
  const become = ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--init-groups', '--'];
  return {
    command: [...become, ...command],
    env: {
      ...env,
      HOME: ROOTLESS_HOME,
      XDG_RUNTIME_DIR: runtime,
      XDG_CACHE_HOME: undefined,
      XDG_CONFIG_HOME: undefined,
    },
  };
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
