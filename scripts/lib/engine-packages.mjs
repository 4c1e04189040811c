import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { runQuietly, works } from './run.mjs';

const PACKAGES = {
  docker: ['docker.io', 'containerd', 'runc', 'iptables'],
  podman: ['podman', 'crun', 'runc', 'conmon', 'catatonit', 'fuse-overlayfs', 'netavark', 'aardvark-dns', 'iptables'],
  'podman-rootless': ['podman', 'crun', 'runc', 'conmon', 'fuse-overlayfs', 'slirp4netns', 'uidmap', 'netavark'],
};
const PROGRAMS = {
  docker: ['dockerd', 'containerd', 'runc', 'iptables'],
  podman: ['podman', 'conmon', 'catatonit'],
  'podman-rootless': ['podman', 'conmon', 'slirp4netns', 'newuidmap'],
};

/** Installs an engine's programs from Debian where they are missing and we are root; else says what to install. */
export function installEngine(kind) {
  if (PROGRAMS[kind].every(isInstalled)) return;
  const line = `apt-get install -y --no-install-recommends ${PACKAGES[kind].join(' ')}`;
  if (process.getuid() !== 0 || !works('apt-get', ['--version']))
    throw new Error(`no ${kind} engine runs here, and none is installed. Start one, or install one: sudo ${line}`);
  // Debian starts what it installs where there is an init; ours is to be the only one.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  runQuietly('Reading the package lists', 'apt-get', ['update'], { env });
  const [command, ...args] = line.split(' ');
  if (!runQuietly(`Installing ${PACKAGES[kind].join(', ')}`, command, args, { env })) throw new Error(`${line} failed`);
}

function isInstalled(program) {
  const folders = [
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    '/usr/libexec/podman',
    '/usr/lib/podman',
  ];
  return (
    folders.some((folder) => existsSync(`${folder}/${program}`)) ||
    spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
  );
}
