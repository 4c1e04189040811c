/** Where things lie inside a ship's container; its image and this page agree on them. */
export const INSIDE = {
  /** The ship's data, from the machine. */
  data: '/ship',
  state: '/ship/state',
  homes: '/ship/home',
  /** For a socket that Bay dials, where there is no network. */
  socket: '/ship/run/agent.sock',
  /** In memory; goes with the container. */
  run: '/run/shipyard',
  support: '/opt/shipyard/python',
  python: '/opt/shipyard/venv/bin/python',
  port: 8123,
} as const;

/** The same socket as Bay sees it, below a ship's own folder. */
export const SOCKET_BELOW_DATA = INSIDE.socket.slice(INSIDE.data.length + 1);
