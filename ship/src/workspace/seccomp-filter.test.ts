import { seccompFilter } from './seccomp-filter.js';

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const NEW_USER = 0x10000000;

/** Numbers from the kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h. */
const MACHINES = {
  x64: {
    audit: 0xc000003e,
    calls: { read: 0, clone: 56, execve: 59, prctl: 157, unshare: 272, ioctl: 16, mount: 165, bpf: 321, keyctl: 250 },
  },
  arm64: {
    audit: 0xc00000b7,
    calls: { read: 63, clone: 220, execve: 221, prctl: 167, unshare: 97, ioctl: 29, mount: 40, bpf: 280, keyctl: 219 },
  },
} as const;

describe.each(['x64', 'arm64'] as const)('the filter for %s', (architecture) => {
  const { audit, calls } = MACHINES[architecture];
  const other = MACHINES[architecture === 'x64' ? 'arm64' : 'x64'];
  const verdict = (number: number, ...args: number[]) => run(filterOf(architecture), { number, audit, args });

  it('lets programs start, read, and ask for what is theirs', () => {
    for (const name of ['read', 'execve', 'prctl'] as const) expect(verdict(calls[name])).toBe(ALLOW);
  });

  it('refuses mounts, BPF, keyrings and io_uring', () => {
    for (const name of ['mount', 'bpf', 'keyctl'] as const) expect(verdict(calls[name])).toBe(EPERM);
    for (const ioUring of [425, 426, 427]) expect(verdict(ioUring)).toBe(EPERM);
  });

  it('lets processes be made, but no user namespaces', () => {
    for (const name of ['clone', 'unshare'] as const) {
      expect(verdict(calls[name], 0x11)).toBe(ALLOW);
      expect(verdict(calls[name], NEW_USER | 0x11)).toBe(EPERM);
    }
    expect(verdict(435)).toBe(ENOSYS);
  });

  it('keeps input from being pushed into terminals', () => {
    expect(verdict(calls.ioctl, 0, 0x5401)).toBe(ALLOW);
    for (const request of [0x5412, 0x541c]) expect(verdict(calls.ioctl, 0, request)).toBe(EPERM);
  });

  it('knows no call of another architecture, nor of a second table', () => {
    expect(run(filterOf(architecture), { number: other.calls.read, audit: other.audit, args: [] })).toBe(ENOSYS);
    expect(verdict(calls.read | 0x40000000)).toBe(ENOSYS);
  });
});

it('has no filter for architectures whose numbers nobody looked up', () => {
  expect(seccompFilter('s390x')).toBeUndefined();
});

function filterOf(architecture: NodeJS.Architecture): Buffer {
  const filter = seccompFilter(architecture);
  if (!filter) throw new Error(`no filter for ${architecture}`);
  return filter;
}

/** What the kernel answers a call, by its rules for classic BPF over struct seccomp_data. */
function run(filter: Buffer, call: { number: number; audit: number; args: readonly number[] }): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.audit, 4);
  call.args.forEach((value, index) => data.writeBigUInt64LE(BigInt(value), 16 + 8 * index));
  let loaded = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const value = filter.readUInt32LE(at + 4);
    const jump = (holds: boolean) => (at += 8 * filter.readUInt8(at + (holds ? 2 : 3)));
    switch (filter.readUInt16LE(at)) {
      case 0x20:
        loaded = data.readUInt32LE(value);
        break;
      case 0x15:
        jump(loaded === value);
        break;
      case 0x35:
        jump(loaded >= value);
        break;
      case 0x45:
        jump((loaded & value) !== 0);
        break;
      case 0x06:
        return value;
      default:
        throw new Error(`instruction ${filter.readUInt16LE(at)}`);
    }
  }
  throw new Error('the filter ends without a verdict');
}
