"""Stands before every attack: its arguments (JSON in argv, or on stdin where that is `-`), and attempts whose outcomes are
told one by one, a line of JSON each.
"""

import ctypes
import errno
import glob
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

ARGS = json.loads(sys.stdin.read() if sys.argv[1] == "-" else sys.argv[1])
LIBC = ctypes.CDLL(None, use_errno=True)
TELLING = threading.Lock()


def attempt(name, act, *args):
    """What `act` returns is what it got; nothing (None or False) means that it was refused without an error."""
    try:
        got = act(*args)
        tell({"attempt": name, "got": str(got)} if got else {"attempt": name, "failed": "nothing"})
    except OSError as error:
        tell({"attempt": name, "failed": errno.errorcode.get(error.errno, str(error))})
    except Exception as error:  # an attempt that fails in a new way is told like the rest
        tell({"attempt": name, "failed": "%s: %s" % (type(error).__name__, error)})


def tell(fact):
    with TELLING:
        sys.stdout.write(json.dumps(fact) + "\n")
        sys.stdout.flush()


def call(name, *args):
    """A function of the C library; raises OSError where it answers -1."""
    return _checked(getattr(LIBC, name)(*map(_argument, args)))


def system_call(number, *args):
    return _checked(LIBC.syscall(ctypes.c_long(number), *map(_argument, args)))


def _checked(answer):
    if answer == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return "answered %d" % answer


def _argument(value):
    if isinstance(value, int):
        return ctypes.c_long(value)
    return value.encode() if isinstance(value, str) else value


def in_child(act, *args):
    """Runs an attempt that would change this process in a child of its own, and answers what that got."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = {"got": str(act(*args) or "")}
        except OSError as error:
            answer = {"errno": error.errno}
        os.write(writer, json.dumps(answer).encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = json.loads(pipe.read() or '{"errno": 4}')
    os.waitpid(pid, 0)
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    return answer["got"]


def other_processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def read_up_to(path, limit=1 << 20):
    """Never waits: what is a pipe or a device with nothing to say answers nothing."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)
