import type { IsolationMode } from './isolation-probe.js';

/** Runs as root, the agent needs to make sandboxes and change uids; these it never needs. */
const NEVER_NEEDED = [
  'CAP_AUDIT_CONTROL',
  'CAP_BLOCK_SUSPEND',
  'CAP_LINUX_IMMUTABLE',
  'CAP_MAC_ADMIN',
  'CAP_MAC_OVERRIDE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SYSLOG',
  'CAP_SYS_BOOT',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_WAKE_ALARM',
];

export interface ShipSandbox {
  readonly mode: IsolationMode;
  /** Own network namespace; without it the ship uses the machine's network. */
  readonly ownNetwork: boolean;
  /** The filter to load before the agent starts, and what loads it. */
  readonly filter?: {
    readonly nft: string;
    readonly setpriv: string;
    readonly rulesFile: string;
    readonly doneFile: string;
  };
}

/**
 * The outer sandbox of a ship: an own pid namespace, whose init reaps orphans and ends everything with itself, and an own
 * network; the agent sees the machine's files. Sessions get sandboxes of their own from the agent. Its init keeps fd 3
 * open, and its beginning and end are written to fd 4.
 *
 * The filter is loaded inside, before the agent, by the only step that has the right to; where it fails the agent never
 * starts. `doneFile` tells that it stands: not before may there be an uplink, whose making would also meet bubblewrap's
 * own work on the loopback. Unprivileged the agent is left without capabilities, as root without those over the network.
 */
export function shipCommand(sandbox: ShipSandbox, agent: readonly string[]): string[] {
  const { mode, ownNetwork, filter } = sandbox;
  if (mode.outer === 'plain') return [...agent];

  const root = mode.outer === 'root';
  const dropped = root ? [...NEVER_NEEDED, ...(filter ? [] : ['CAP_NET_ADMIN'])] : [];
  return [
    mode.bwrap,
    ...['--dev-bind', '/', '/', '--proc', '/proc', '--chdir', '/', '--unshare-pid', '--unshare-ipc'],
    ...(ownNetwork ? ['--unshare-net'] : []),
    ...(root ? [] : ['--unshare-user']),
    ...dropped.flatMap((capability) => ['--cap-drop', capability]),
    ...(filter && !root ? ['--cap-add', 'CAP_NET_ADMIN'] : []),
    ...['--sync-fd', '3', '--json-status-fd', '4', '--'],
    ...(filter ? [...withFilter(filter, root)] : []),
    ...agent,
  ];
}

function withFilter(
  { nft, setpriv, rulesFile, doneFile }: NonNullable<ShipSandbox['filter']>,
  root: boolean,
): string[] {
  const drop = root ? ['--bounding-set=-net_admin'] : [];
  return [
    ...['/bin/sh', '-c', '"$0" -f "$1" && : > "$2" && shift 2 && exec "$@"', nft, rulesFile, doneFile],
    ...[setpriv, '--inh-caps=-all', '--ambient-caps=-all', ...drop],
  ];
}
