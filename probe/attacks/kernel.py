"""Asks the kernel for what a sandboxed user must not get. Whatever succeeds changes as little as it can: what is written
is what was read before, and mounts and nodes go again.

ARGS: section, outside (whether this is not a ship, but the machine, where the attack is shown to be one)
"""

import fcntl
import platform

X86 = platform.machine() == "x86_64"
#: Numbers on x86-64 and on arm64.
CALLS = {
    "pivot_root": (155, 41),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "clone": (56, 220),
    "userfaultfd": (323, 282),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "clone3": (435, 435),
}
X32_BIT = 0x40000000
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096
NEW = {"user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "net": 0x40000000, "uts": 0x4000000, "ipc": 0x8000000}


def number(name):
    return CALLS[name][0 if X86 else 1]


def mounts():
    place = own_folder("mount")

    def mount(source, kind, flags=0, data=None):
        call("mount", source, place, kind, flags, data or 0)
        answer = "%s holds %s" % (place, os.listdir(place)[:3])
        call("umount2", place, 2)
        return answer

    attempt("mount a tmpfs", mount, "tmpfs", "tmpfs")
    attempt("mount /proc", mount, "proc", "proc")
    attempt("mount a control group", mount, "cgroup", "cgroup", 0, "pids")
    attempt("mount the unified control groups", mount, "cgroup2", "cgroup2")
    attempt("mount /sys", mount, "sysfs", "sysfs")
    attempt("mount devices", mount, "devtmpfs", "devtmpfs")
    attempt("mount security", mount, "securityfs", "securityfs")
    attempt("bind a folder", mount, "/etc", "none", MS_BIND)
    attempt("remount / writable", in_child, call, "mount", "none", "/", "none", MS_REMOUNT | MS_BIND, 0)
    attempt("unmount /proc", in_child, call, "umount2", "/proc", 2)
    attempt("open_tree", system_call, number("open_tree"), -100, b"/etc", 1)
    attempt("fsopen", system_call, number("fsopen"), b"tmpfs", 0)
    if X86:
        # The second table of numbers, which a filter may have forgotten.
        attempt("mount by x32", system_call, 165 | X32_BIT, b"tmpfs", place.encode(), b"tmpfs", 0, 0)
    os.rmdir(place)


def roots():
    place = own_folder("root")
    attempt("chroot", in_child, call, "chroot", place)
    attempt("pivot_root", in_child, system_call, number("pivot_root"), place.encode(), place.encode())
    os.rmdir(place)


def namespaces():
    for name, flag in NEW.items():
        attempt("unshare %s" % name, in_child, call, "unshare", flag)
    attempt("unshare user and mount", in_child, call, "unshare", NEW["user"] | NEW["mount"])
    attempt("clone user", clone, NEW["user"] | signal.SIGCHLD)
    attempt("clone3 user", clone3)
    for pid in [1, os.getppid(), *other_processes()[:8]]:
        for kind in ("mnt", "pid", "net", "user", "uts", "ipc"):
            attempt("setns %s of %d" % (kind, pid), in_child, enter, pid, kind)


def clone(flags):
    pid = LIBC.syscall(ctypes.c_long(number("clone")), ctypes.c_ulong(flags), 0, 0, 0, 0)
    return finish_clone(pid)


def clone3():
    arguments = (ctypes.c_uint64 * 8)(NEW["user"], 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    return finish_clone(LIBC.syscall(ctypes.c_long(number("clone3")), ctypes.byref(arguments), ctypes.c_size_t(64)))


def finish_clone(pid):
    if pid == 0:
        os._exit(0)
    answer = _checked(pid)
    os.waitpid(pid, 0)
    return answer


def enter(pid, kind):
    path = "/proc/%d/ns/%s" % (pid, kind)
    descriptor = os.open(path, os.O_RDONLY)
    if os.stat(path).st_ino == os.stat("/proc/self/ns/%s" % kind).st_ino:
        call("setns", descriptor, 0)
        return None if os.geteuid() else "entered its own anew"
    return call("setns", descriptor, 0)


def raw_sockets():
    for name, family, kind, protocol in [
        ("ICMP", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        ("any IP", socket.AF_INET, socket.SOCK_RAW, 255),
        ("ICMPv6", socket.AF_INET6, socket.SOCK_RAW, 58),
    ]:
        attempt("raw %s" % name, socket.socket, family, kind, protocol)


def packet_sockets():
    attempt("packets", socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    attempt("datagrams of packets", socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))


def network_settings():
    attempt("take the loopback down and up", set_loopback)
    attempt("add an address", add_address)
    attempt("change the filter", change_filter)
    attempt("make an interface", make_interface)


def set_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
        flags = fcntl.ioctl(end, SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        fcntl.ioctl(end, SIOCSIFFLAGS, flags)
        return "set"


def netlink(protocol, kind, flags, payload):
    """One request, and what the kernel answers: an error, or 0 for done."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as end:
        end.settimeout(2)
        end.send(struct.pack("=IHHII", 16 + len(payload), kind, flags | 5, 1, 0) + payload)
        answer = end.recv(4096)
        code = struct.unpack_from("=i", answer, 16)[0]
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        return "done"


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def add_address():
    RTM_NEWADDR, CREATE = 20, 0x400
    address = attribute(2, socket.inet_aton("127.9.9.9")) + attribute(1, socket.inet_aton("127.9.9.9"))
    return netlink(socket.NETLINK_ROUTE, RTM_NEWADDR, CREATE, struct.pack("=BBBBI", 2, 32, 0, 0, 1) + address)


def make_interface():
    RTM_NEWLINK, CREATE = 16, 0x400
    info = attribute(18, attribute(1, b"dummy\0"))
    return netlink(socket.NETLINK_ROUTE, RTM_NEWLINK, CREATE, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute(3, b"probe9\0") + info)


def change_filter():
    """A new, empty table of nftables, in a batch; it changes nothing that is there."""
    NETFILTER, NEWTABLE, CREATE, BATCH_BEGIN, BATCH_END = 12, 0xA00, 0x400, 16, 17
    family = struct.pack("=BBH", 1, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as end:
        end.settimeout(2)
        batch = struct.pack("=BBH", 0, 0, socket.htons(10))
        table = family + attribute(1, b"probe\0")
        end.send(
            struct.pack("=IHHII", 20, BATCH_BEGIN, 1, 1, 0)
            + batch
            + struct.pack("=IHHII", 16 + len(table), NEWTABLE, CREATE | 5, 2, 0)
            + table
            + struct.pack("=IHHII", 20, BATCH_END, 1, 3, 0)
            + batch
        )
        code = struct.unpack_from("=i", end.recv(4096), 16)[0]
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        return "a table was made"


def nodes():
    place = own_folder("nodes")
    for name, kind, device in [
        ("memory", 0o020600, os.makedev(1, 1)),
        ("the first disk", 0o060600, os.makedev(254, 0)),
        ("a SCSI disk", 0o060600, os.makedev(8, 0)),
        ("kernel messages", 0o020600, os.makedev(1, 11)),
    ]:
        attempt("make a node of %s" % name, make_node, os.path.join(place, "node"), kind, device)
    os.rmdir(place)


def make_node(path, kind, device):
    os.mknod(path, kind, device)
    os.unlink(path)
    return "made"


def kernel_memory():
    for path in ["/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore", "/dev/kmsg", "/proc/kmsg", "/dev/nvram"]:
        attempt("open %s" % path, open_only, path, os.O_RDONLY)
    for pattern in ["/dev/sd*", "/dev/vd*", "/dev/nvme*", "/dev/dm-*", "/dev/loop*", "/dev/kvm", "/dev/fuse", "/dev/net/tun"]:
        for path in glob.glob(pattern):
            attempt("open %s" % path, open_only, path, os.O_RDONLY)
    attempt("addresses of the kernel", kernel_addresses)


def open_only(path, flags):
    os.close(os.open(path, flags | os.O_NONBLOCK))
    return "opened"


def kernel_addresses():
    with open("/proc/kallsyms") as file:
        return [line for _, line in zip(range(50), file) if not line.startswith("0" * 16)][:1]


def kernel_log():
    attempt("read by syslog", read_log)
    attempt("read /dev/kmsg", read_messages)


def read_log():
    READ_ALL = 3
    buffer = ctypes.create_string_buffer(1 << 20)
    length = LIBC.klogctl(READ_ALL, buffer, 1 << 20)
    _checked(length)
    return buffer.raw[:length].decode("utf-8", "replace")[-20000:]


def read_messages():
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(descriptor, 0, os.SEEK_DATA)
    said = []
    try:
        while True:
            said.append(os.read(descriptor, 8192).decode("utf-8", "replace"))
    except BlockingIOError:
        return "".join(said)[-20000:]


def system_controls():
    write_below("/proc/sys", 4000)
    # Of the user's own processes, the first one may be told to go before others.
    first = [] if os.stat("/proc/1").st_uid == os.getuid() else ["/proc/1/oom_score_adj"]
    for path in ["/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/mtrr", *first]:
        attempt("open %s for writing" % path, open_only, path, os.O_WRONLY)


def kernel_objects():
    write_below("/sys", 20000)


def control_groups():
    for base in {line.split()[1] for line in open("/proc/mounts") if line.split()[2].startswith("cgroup")}:
        write_below(base, 2000)
        attempt("make a group in %s" % base, make_group, base)
    for path in glob.glob("/sys/fs/cgroup/*/release_agent") + ["/sys/fs/cgroup/release_agent"]:
        attempt("open %s for writing" % path, open_only, path, os.O_WRONLY)
    attempt("mount the group with a release agent", in_child, call, "mount", "cgroup", own_folder("cg"), "cgroup", 0, b"rdma")


def make_group(base):
    path = os.path.join(base, "probe")
    os.mkdir(path)
    os.rmdir(path)
    return "made"


def write_below(base, most):
    """Opens every file for writing; what opens and can be read gets what it holds already."""
    done = 0
    refused = {}
    deadline = time.monotonic() + 15
    for folder, _, files in os.walk(base):
        for name in files:
            if done >= most or time.monotonic() > deadline:
                break
            done += 1
            path = os.path.join(folder, name)
            try:
                write_back(path)
            except OSError as error:
                code = errno.errorcode.get(error.errno, "?")
                refused[code] = refused.get(code, 0) + 1
            else:
                attempt("write %s" % path, lambda: "written")
    for code, count in refused.items():
        tell({"attempt": "write %d files below %s" % (count, base), "failed": code})


def write_back(path):
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(descriptor, read_up_to(path, 4096))
    finally:
        os.close(descriptor)


def keyrings():
    SESSION_KEYRING, USER_KEYRING = -3, -4
    attempt("add a key", system_call, number("add_key"), b"user", b"probe", b"x", ctypes.c_size_t(1), USER_KEYRING)
    attempt("ask for the session's ring", system_call, number("keyctl"), 0, SESSION_KEYRING, 1)


def programs():
    PROG_LOAD, MAP_CREATE = 5, 0
    attributes = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    attempt("make a BPF map", system_call, number("bpf"), MAP_CREATE, ctypes.byref(attributes), 128)
    attempt("load a BPF program", system_call, number("bpf"), PROG_LOAD, ctypes.byref(attributes), 128)


def performance():
    attributes = (ctypes.c_uint32 * 32)(1, 128)
    attempt("watch a processor", system_call, number("perf_event_open"), ctypes.byref(attributes), -1, 0, -1, 0)
    attempt("watch faults of the kernel", system_call, number("userfaultfd"), 0)


def machine():
    """Calls whose arguments are wrong on purpose, so that only the right to them is tried."""
    attempt("load a module", allowed, {errno.EPERM, errno.ENOSYS}, system_call, number("init_module"), b"x", 1, b"")
    attempt("load a kernel", allowed, {errno.EPERM, errno.ENOSYS}, system_call, number("kexec_load"), 0, 99, 0, 0)
    attempt("restart", allowed, {errno.EPERM, errno.ENOSYS}, system_call, 169 if X86 else 142, 1, 2, 3, 0)
    attempt("swap on", allowed, {errno.EPERM}, call, "swapon", "/nowhere", 0)
    attempt("account", allowed, {errno.EPERM, errno.ENOSYS}, call, "acct", "/nowhere/probe")


def allowed(refusals, act, *args):
    try:
        return act(*args)
    except OSError as error:
        if error.errno in refusals:
            raise
        return "taken, and then %s" % errno.errorcode.get(error.errno)


def clock():
    attempt("set the clock to what it says", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()) or "set")
    timex = (ctypes.c_long * 64)()
    ADJ_FREQUENCY_AS_IT_IS = 0x0002
    LIBC.adjtimex(ctypes.byref(timex))
    timex[0] = ADJ_FREQUENCY_AS_IT_IS
    attempt("set the clock's frequency to what it is", call, "adjtimex", ctypes.byref(timex))


def hostname():
    name = socket.gethostname()
    attempt("set the host's name", lambda: socket.sethostname(name) or "set")
    attempt("set the domain's name", call, "setdomainname", b"probe", 5)


def limits():
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    attempt("raise a limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1)) or "raised")
    attempt("go before others", lambda: "nice %d" % os.nice(-5))
    attempt("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10)) or "set")
    attempt("outlive others without memory", write_score)


def write_score():
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    return "written"


def terminals():
    """What is pushed into a terminal of others would be typed by them. Pushing into one's own hurts nobody."""
    for path in ["/dev/tty", "/dev/console", *glob.glob("/dev/tty[0-9]*"), *glob.glob("/dev/pts/[0-9]*")]:
        attempt("type into %s" % path, push, path, 0x5412, b" ")
    attempt("paste into the console", push, "/dev/console", 0x541C, b"\x03")
    if ARGS.get("outside"):
        master, slave = os.openpty()
        attempt("type into its own", in_child, push_into_own, slave)


def push(path, request, data):
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, request, data)
        return "taken"
    finally:
        os.close(descriptor)


def push_into_own(slave):
    TIOCSCTTY, TIOCSTI = 0x540E, 0x5412
    os.setsid()
    fcntl.ioctl(slave, TIOCSCTTY, 0)
    fcntl.ioctl(slave, TIOCSTI, b"x")
    return "taken"


def identities():
    attempt("become root", in_child, lambda: os.setresuid(0, 0, 0) or "uid %d" % os.getuid())
    attempt("become root's group", in_child, lambda: os.setresgid(0, 0, 0) or "gid %d" % os.getgid())
    attempt("join groups", in_child, lambda: os.setgroups([0]) or "joined")
    attempt("become another user", in_child, lambda: os.setresuid(1234, 1234, 1234) or "uid %d" % os.getuid())
    attempt("own a file of root", lambda: os.chown("/etc/passwd", -1, os.stat("/etc/passwd").st_gid) or "owned")


def setuid_programs():
    """Starts programs that belong to root with the set-user-ID bit, and looks at who they became."""
    for folder in ["/usr/bin", "/usr/sbin", "/bin", "/usr/local/bin", "/usr/lib/openssh", "/usr/lib/dbus-1.0"]:
        for path in glob.glob(folder + "/*"):
            status = os.stat(path) if os.path.isfile(path) else None
            if status and status.st_uid == 0 and status.st_mode & 0o4000:
                attempt("run %s" % path, effective_user, path)


def effective_user(path):
    child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with open("/proc/%d/status" % child.pid) as file:
            users = next(line for line in file if line.startswith("Uid:")).split()[1:]
        return "uids %s" % users if users[1] == "0" else None
    finally:
        child.kill()
        child.wait()


def handles():
    """A file by its number instead of its path: the way out of a container that was open for years."""

    class Handle(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]

    handle = Handle(bytes=8, type=1)
    handle.data[0] = 2
    for path in ["/", "/etc/resolv.conf", os.path.expanduser("~")]:
        attempt("a file by number beside %s" % path, by_handle, path, handle)


def by_handle(path, handle):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return allowed({errno.EPERM, errno.ENOSYS}, call, "open_by_handle_at", descriptor, ctypes.byref(handle), 0)
    finally:
        os.close(descriptor)


def descriptors():
    """What this process was born with: a folder or a socket that leads out?"""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            attempt("descriptor %s" % name, inherited, int(name))


def inherited(descriptor):
    target = os.readlink("/proc/self/fd/%d" % descriptor)
    # The folder that was just listed is gone by now.
    return None if target.startswith("/proc/") else "it is %s" % target


def own_folder(name):
    path = "/tmp/probe-%s-%d" % (name, os.getpid())
    os.mkdir(path)
    return path


globals()[ARGS["section"]]()
tell({"attempt": "reach the end", "failed": "nothing"})
