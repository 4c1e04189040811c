/**
 * Where things of Shipyard and of a machine lie, as anybody can read in our sources: walls must hold against whoever knows
 * exactly where to look. Patterns as Python's glob takes them.
 */
export interface KnownPlaces {
  /** Folder of a Bay that the probes started. */
  readonly bayFolder?: string;
  /** Folder with a secret that all users of the machine may read. */
  readonly hostFolder?: string;
  readonly temporaryFolder: string;
}

const OF_SHIPS = ['/ship/state', '/ship/home', '/ship', '/run/shipyard', '/opt/shipyard'];
const OF_BAY = ['/root/.shipyard', '/home/*/.shipyard', '/var/lib/shipyard', '/data'];
const OF_THE_MACHINE = [
  ...['/etc/shadow', '/etc/gshadow', '/etc/sudoers', '/root/.ssh/*', '/home/*/.ssh/*', '/root/.bash_history'],
  ...['/root/.docker/config.json', '/root/.kube/config', '/run/secrets/*', '/var/run/secrets/kubernetes.io'],
  ...['/var/lib/docker', '/var/lib/containers', '/host', '/mnt', '/media', '/srv', '/boot'],
];

export function knownPaths({ bayFolder, hostFolder, temporaryFolder }: KnownPlaces): string[] {
  return [
    ...(bayFolder
      ? [`${bayFolder}/state/*`, `${bayFolder}/bay.db*`, `${bayFolder}/bay.log`, `${bayFolder}/ships/*`, bayFolder]
      : []),
    ...(hostFolder ? [`${hostFolder}/secret`] : []),
    ...[`${temporaryFolder}/shipyard-*/*/*`, '/run/user/*/shipyard/*/*'],
    ...OF_SHIPS,
    ...OF_BAY,
    ...OF_THE_MACHINE,
  ];
}

/** Sockets on which agents of all ships of a machine listen. */
export const agentSockets = (temporaryFolder: string): string[] => [
  `${temporaryFolder}/shipyard-*/*/agent.sock`,
  '/run/user/*/shipyard/*/agent.sock',
];

/** Where a ship's own agent might listen, as its sessions would see it. */
export const OWN_AGENT_SOCKETS = ['/run/shipyard/*.sock', '/run/shipyard/*/*.sock', '/ship/run/*.sock'];

export const AGENT_PORT = 8123;

export const ENGINE_SOCKETS = [
  ...['/var/run/docker.sock', '/run/docker.sock', '/run/user/*/docker.sock', '/run/docker/plugins/*.sock'],
  ...['/run/podman/podman.sock', '/run/user/*/podman/podman.sock', '/var/run/podman/podman.sock'],
  ...['/run/containerd/containerd.sock', '/run/crio/crio.sock', '/run/buildkit/buildkitd.sock'],
  ...['/run/dbus/system_bus_socket', '/run/systemd/private', '/run/user/*/bus'],
];
