"""Lays hands on every process that can be seen.

ARGS: act (trace | kill), walls [words in the command lines of processes that are not the session's, whoever owns them]
"""

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WAIT_ALL = 0x40000000
PIDFD_OPEN, PIDFD_GETFD = 434, 438


def main():
    # A child of this user, to show that the acts work.
    child = subprocess.Popen(["sleep", "30"])
    pids = [pid for pid in other_processes() if pid != child.pid]
    if ARGS["act"] == "trace":
        trace_all(child.pid, pids)
        child.kill()
    else:
        kill_all(child, pids)


def trace_all(own, pids):
    for pid in pids:
        for name, act in ACTS.items():
            attempt("%s %s" % (name, describe(pid)), act, pid)
    for name, act in ACTS.items():
        attempt("own child: %s" % name, act, own)


def describe(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            words = file.read().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        words = "?"
    own = owner(pid) == os.getuid() and not any(wall in words for wall in ARGS["walls"])
    return "%s %d (%s)" % ("own" if own else "foreign", pid, words[:60])


def owner(pid):
    try:
        return os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return None


def seize(pid):
    call("ptrace", PTRACE_SEIZE, pid, 0, 0)
    call("ptrace", PTRACE_INTERRUPT, pid, 0, 0)
    os.waitpid(pid, WAIT_ALL)
    call("ptrace", PTRACE_DETACH, pid, 0, 0)
    return "seized"


def memory(pid):
    with open("/proc/%d/mem" % pid, "rb"):
        return "opened"


def environment(pid):
    with open("/proc/%d/environ" % pid, "rb") as file:
        return "%d bytes" % len(file.read())


def root(pid):
    return os.listdir("/proc/%d/root" % pid)


def folder(pid):
    return os.readlink("/proc/%d/cwd" % pid)


def files(pid):
    return os.listdir("/proc/%d/fd" % pid)


def take(pid):
    descriptor = LIBC.syscall(ctypes.c_long(PIDFD_OPEN), pid, 0)
    _checked(descriptor)
    return system_call(PIDFD_GETFD, descriptor, 0, 0)


def read_words(pid):
    with open("/proc/%d/maps" % pid) as file:
        address = int(next(file).split("-")[0], 16)
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_size_t * 2)(address, 8)
    return call("process_vm_readv", pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)


ACTS = {
    "trace": seize,
    "memory of": memory,
    "environment of": environment,
    "root of": root,
    "folder of": folder,
    "descriptors of": files,
    "take a descriptor of": take,
    "read words of": read_words,
}


def kill_all(child, pids):
    attempt("own child: kill", kill, child.pid)
    for pid in pids:
        if pid != os.getppid():
            attempt("kill %s" % describe(pid), kill, pid)
    # The last word: everything that this user may signal, and this program with it.
    tell({"attempt": "kill all at once", "failed": "nothing"})
    os.kill(-1, signal.SIGKILL)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    return "sent"


main()
