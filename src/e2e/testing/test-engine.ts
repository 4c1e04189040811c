import Docker from 'dockerode';

/** The driver of the Bays in these tests. */
export const TEST_DRIVER = process.env.SHIPYARD_TEST_DRIVER ?? 'local';

/** The engine behind Bay's back; undefined for a driver that has none. */
export function testEngine(): Docker | undefined {
  if (TEST_DRIVER === 'local' || TEST_DRIVER === 'kubernetes') return undefined;
  const host = (TEST_DRIVER.startsWith('podman') ? process.env.CONTAINER_HOST : undefined) ?? process.env.DOCKER_HOST;
  const socketPath = host?.replace(/^unix:\/\//, '') ?? '/var/run/docker.sock';
  return new Docker({ socketPath, host: undefined, port: undefined, protocol: 'http' });
}
