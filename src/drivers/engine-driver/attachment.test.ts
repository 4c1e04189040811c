import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { attachmentFor } from './attachment.js';

describe('how a ship comes to its network', () => {
  const interfaces = mkdtempSync(path.join(tmpdir(), 'interfaces-'));
  afterAll(() => rmSync(interfaces, { recursive: true }));
  const id = '0123456789abcdef';
  for (const name of ['br-0123456789ab', 'podman1', 'br-ships']) mkdirSync(path.join(interfaces, name));

  const docker = { kind: 'docker', defaultRuntime: 'runc' } as const;
  const place = {
    engine: docker,
    policy: { network: 'internet' },
    shipNetwork: { bridge: 'br-0123456789ab', incarnation: id },
  } as const;
  const from = (given: Partial<Parameters<typeof attachmentFor>[0]>, options: Parameters<typeof attachmentFor>[1]) =>
    attachmentFor({ ...place, ...given }, options, interfaces);

  it('is while its agent starts, where Bay reaches its address', () => {
    expect(from({}, { mode: 'docker-host' })).toBe('late');
    expect(from({}, { mode: 'docker' })).toBe('late');
  });

  it('is with a port of the machine, where the bridge is not here, or may be another of the same name', () => {
    const elsewhere = { bridge: 'br-ba9876543210', incarnation: 'ba9876543210' };
    expect(from({ shipNetwork: elsewhere }, { mode: 'docker-host' })).toBe('port');
    expect(from({ shipNetwork: { bridge: 'br-ships', incarnation: id } }, { mode: 'docker-host' })).toBe('port');
    const podman = { kind: 'podman', defaultRuntime: 'crun' } as const;
    const shipNetwork = { bridge: 'podman1', incarnation: `${id} 2026-01-01` };
    expect(from({ engine: podman, shipNetwork }, { mode: 'podman-host' })).toBe('port');
    expect(from({ engine: podman, shipNetwork }, { mode: 'podman' })).toBe('address');
  });

  it('is with its container, where that has a kernel of its own', () => {
    expect(from({}, { mode: 'docker-host', runtime: 'runsc' })).toBe('address');
    expect(from({ engine: { ...docker, defaultRuntime: 'kata' } }, { mode: 'docker' })).toBe('address');
    expect(from({ engine: { ...docker, defaultRuntime: 'io.containerd.runc.v2' } }, { mode: 'docker' })).toBe('late');
  });

  it('is never, where ships have none', () => {
    expect(from({ policy: { network: 'none' } }, { mode: 'docker-host' })).toBe('none');
  });
});
