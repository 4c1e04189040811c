/**
 * A seccomp filter for sessions, as the bytes that `bwrap --seccomp` reads (classic BPF, struct sock_filter). Engines have
 * filters of their own, which differ: Podman's lets everybody make user namespaces.
 *
 * It takes away what code in a sandbox does not need and what kernels are broken by: new user namespaces (with all the
 * powers inside them), mounts, the kernel's log, keyrings, BPF, io_uring, and putting input into a terminal. Everything
 * else is allowed: the sandbox's walls are namespaces, an own uid and no capabilities.
 */

/** The numbers of one architecture. */
interface Syscalls {
  readonly audit: number;
  readonly clone: number;
  readonly unshare: number;
  readonly ioctl: number;
  readonly denied: readonly number[];
}

/** clone3 and the newer calls have the same numbers everywhere. */
const CLONE3 = 435;
const DENIED_EVERYWHERE = [
  425,
  426,
  427, // io_uring_setup, _enter, _register
  428,
  429,
  430,
  431,
  432,
  433,
  442, // open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr
];

const ARCHITECTURES: Readonly<Partial<Record<NodeJS.Architecture, Syscalls>>> = {
  x64: {
    audit: 0xc000003e,
    clone: 56,
    unshare: 272,
    ioctl: 16,
    // syslog, pivot_root, mount, umount2, kexec_load, add_key, request_key, keyctl, perf_event_open, open_by_handle_at,
    // setns, bpf, userfaultfd
    denied: [103, 155, 165, 166, 246, 248, 249, 250, 298, 304, 308, 321, 323],
  },
  arm64: {
    audit: 0xc00000b7,
    clone: 220,
    unshare: 97,
    ioctl: 29,
    // The same, in the same order.
    denied: [116, 41, 40, 39, 104, 217, 218, 219, 241, 265, 268, 280, 282],
  },
};

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_BITS = 0x45;
const RETURN = 0x06;

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;

const NUMBER_OFFSET = 0;
const ARCHITECTURE_OFFSET = 4;
/** The low half of an argument; flags and requests fit in it. */
const argumentOffset = (index: number): number => 16 + 8 * index;

const CLONE_NEWUSER = 0x10000000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
/** x86-64's second table of numbers, which would go around the first. */
const X32_BIT = 0x40000000;

/** The filter for an architecture, or undefined where we have no numbers for it. */
export function seccompFilter(architecture: NodeJS.Architecture = process.arch): Buffer | undefined {
  const calls = ARCHITECTURES[architecture];
  if (calls === undefined) return undefined;
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE_OFFSET],
    ...unless(JUMP_EQUAL, calls.audit, ENOSYS),
    [LOAD, 0, 0, NUMBER_OFFSET],
    ...when(JUMP_AT_LEAST, X32_BIT, ENOSYS),
    // Its flags lie in memory, where a filter cannot look; without it the C library falls back to clone.
    ...when(JUMP_EQUAL, CLONE3, ENOSYS),
    ...[...calls.denied, ...DENIED_EVERYWHERE].flatMap((number) => when(JUMP_EQUAL, number, EPERM)),
    ...inCall(calls.clone, [[LOAD, 0, 0, argumentOffset(0)], ...when(JUMP_BITS, CLONE_NEWUSER, EPERM)]),
    ...inCall(calls.unshare, [[LOAD, 0, 0, argumentOffset(0)], ...when(JUMP_BITS, CLONE_NEWUSER, EPERM)]),
    ...inCall(calls.ioctl, [
      [LOAD, 0, 0, argumentOffset(1)],
      ...when(JUMP_EQUAL, TIOCSTI, EPERM),
      ...when(JUMP_EQUAL, TIOCLINUX, EPERM),
    ]),
    [RETURN, 0, 0, ALLOW],
  ];
  return encode(program);
}

/** code, jump if true, jump if false, value */
type Instruction = readonly [number, number, number, number];

function when(jump: number, value: number, verdict: number): Instruction[] {
  return [
    [jump, 0, 1, value],
    [RETURN, 0, 0, verdict],
  ];
}

function unless(jump: number, value: number, verdict: number): Instruction[] {
  return [
    [jump, 1, 0, value],
    [RETURN, 0, 0, verdict],
  ];
}

/** A block for one call; it ends in ALLOW, because the number is no longer loaded then. */
function inCall(number: number, block: readonly Instruction[]): Instruction[] {
  const body: Instruction[] = [...block, [RETURN, 0, 0, ALLOW]];
  return [[JUMP_EQUAL, 0, body.length, number], ...body];
}

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, whenTrue, whenFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(whenTrue, index * 8 + 2);
    bytes.writeUInt8(whenFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
}
