import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { attachmentFor } from './attachment.js';

describe('how a ship comes to its network', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'routes-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const routes = path.join(folder, 'route');
  const interfaces = ['eth0', 'br-0123456789ab', 'podman1', 'br-ships'];
  writeFileSync(routes, ['Iface\tDestination', ...interfaces.map((name) => `${name}\t000012AC`), ''].join('\n'));
  const id = '0123456789abcdef';

  const docker = { kind: 'docker', defaultRuntime: 'runc' } as const;
  const place = {
    engine: docker,
    policy: { network: 'internet' },
    shipNetwork: { bridge: 'br-0123456789ab', incarnation: id, ipv6: false },
    late: true,
  } as const;
  const from = (given: Partial<Parameters<typeof attachmentFor>[0]>, options: Parameters<typeof attachmentFor>[1]) =>
    attachmentFor({ ...place, ...given }, options, routes);

  it('is while its agent starts, where Bay reaches its address', () => {
    expect(from({}, { mode: 'docker-host' })).toBe('late');
    expect(from({}, { mode: 'docker' })).toBe('late');
  });

  it('is with a port of the machine, where the bridge is not here, or may be another of the same name', () => {
    const elsewhere = { ...place.shipNetwork, bridge: 'br-ba9876543210', incarnation: 'ba9876543210' };
    expect(from({ shipNetwork: elsewhere }, { mode: 'docker-host' })).toBe('port');
    expect(from({ shipNetwork: { ...place.shipNetwork, bridge: 'br-ships' } }, { mode: 'docker-host' })).toBe('port');
    const podman = { kind: 'podman', defaultRuntime: 'crun' } as const;
    const shipNetwork = { ...place.shipNetwork, bridge: 'podman1', incarnation: `${id} 2026-01-01` };
    expect(from({ engine: podman, shipNetwork }, { mode: 'podman-host' })).toBe('port');
    expect(from({ engine: podman, shipNetwork }, { mode: 'podman' })).toBe('address');
  });

  it('is with its container, where that has a kernel of its own', () => {
    expect(from({}, { mode: 'docker-host', runtime: 'runsc' })).toBe('address');
    expect(from({ engine: { ...docker, defaultRuntime: 'kata' } }, { mode: 'docker' })).toBe('address');
    expect(from({ engine: { ...docker, defaultRuntime: 'io.containerd.runc.v2' } }, { mode: 'docker' })).toBe('late');
  });

  it('is with its container, where that is to have no IPv6 and its network has', () => {
    expect(from({ shipNetwork: { ...place.shipNetwork, ipv6: true } }, { mode: 'docker-host' })).toBe('address');
  });

  it('is with its container, where the engine does not do it later', () => {
    expect(from({ late: false }, { mode: 'docker-host' })).toBe('address');
  });

  it('is never, where ships have none', () => {
    expect(from({ policy: { network: 'none' } }, { mode: 'docker-host' })).toBe('none');
  });
});
