import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { DockerOptions } from 'dockerode';
import { StatusError } from '../../../proto/rpc/status-error.js';
import type { EngineAddresses, EngineKind } from './options.js';

/** Where an engine may answer. */
export interface EngineAddress {
  /** As people write it: unix:///run/podman/podman.sock. */
  readonly url: string;
  /** Whoever named it wants this one and no other. */
  readonly named: boolean;
}

/** Where to look for an engine, in this order: where the environment says, else the usual places. */
export function engineAddresses(kind: EngineKind, addresses: EngineAddresses): EngineAddress[] {
  const { dockerHost, containerHost } = addresses;
  const named = kind === 'docker' ? dockerHost : (containerHost ?? dockerHost);
  if (named !== undefined) return [{ url: named, named: true }];
  return usualSockets(kind, addresses.runtimeDir)
    .filter((file) => existsSync(file))
    .map((file) => ({ url: `unix://${file}`, named: false }));
}

/** Of the whole machine, and of one user; root is served by the first, others rather by their own. */
export function usualSockets(kind: EngineKind, runtimeDir: string | undefined): string[] {
  const uid = process.getuid?.() ?? 0;
  const own = runtimeDir ?? `/run/user/${uid}`;
  const [system, user] =
    kind === 'docker'
      ? [
          ['/var/run/docker.sock'],
          [
            path.join(own, 'docker.sock'),
            ...['run', 'desktop'].map((at) => path.join(homedir(), '.docker', at, 'docker.sock')),
          ],
        ]
      : [['/run/podman/podman.sock'], [path.join(own, 'podman/podman.sock')]];
  return uid === 0 ? [...system, ...user] : [...user, ...system];
}

/**
 * What dockerode needs to dial an address. Everything is said, since it would take what is not from DOCKER_HOST.
 *
 * @throws StatusError DRIVER_REFUSED for an address of another kind
 */
export function toDockerOptions(url: string, certPath: string | undefined): DockerOptions {
  const nothing = { host: undefined, port: undefined, socketPath: undefined, protocol: undefined };
  const socket = /^(?:unix|npipe):\/\/(?<path>.+)$/.exec(url)?.groups?.path;
  if (socket !== undefined) return { ...nothing, socketPath: socket, protocol: 'http' };
  const tcp = /^(?:tcp|https?):\/\/(?<host>\[[^\]]+\]|[^:/]+)(?::(?<port>\d+))?\/?$/.exec(url)?.groups;
  if (!tcp?.host) {
    const message = `${url} is no address of an engine that is spoken to here: unix:///path or tcp://host:port`;
    throw new StatusError('DRIVER_REFUSED', message);
  }
  const port = Number(tcp.port ?? (certPath ? 2376 : 2375));
  if (certPath === undefined && !url.startsWith('https:'))
    return { ...nothing, host: tcp.host, port, protocol: 'http' };
  return { ...nothing, host: tcp.host, port, protocol: 'https', ...readCertificates(certPath) };
}

function readCertificates(certPath: string | undefined): Pick<DockerOptions, 'ca' | 'cert' | 'key'> {
  if (certPath === undefined) return {};
  const read = (name: string) => readFileSync(path.join(certPath, name));
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}
