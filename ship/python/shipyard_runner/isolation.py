"""What the runner does to itself before any code of the session runs."""

import ctypes
import errno
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


def become(uid):
    """From root to the session's user, for good: no groups, no way back."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def shield():
    """Keeps processes of the same user from tracing the runner or taking its descriptors: the channel is not theirs."""
    _prctl(_PR_SET_DUMPABLE, 0)


def restrict(program):
    """Takes system calls away from this process and all that it starts: classic BPF, as many struct sock_filter as there
    are. The process has no_new_privs already, and no second thread.

    OSError: EINVAL where the kernel has no filters, or QEMU emulates one for another architecture.
    """

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    filtering = Program(len(program) // 8, program)
    try:
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filtering))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        remedy = "run ships on a machine of their image's architecture, with CONFIG_SECCOMP_FILTER"
        raise OSError(error.errno, "system calls cannot be filtered here: %s" % remedy) from error


def adopt_orphans():
    """Descendants whose parents died become ours, not the system's, so that they can be found and ended."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number=signal.SIGKILL):
    _prctl(_PR_SET_PDEATHSIG, int(number))


def _prctl(option, value, pointer=0):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(pointer), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "prctl %d" % option)
