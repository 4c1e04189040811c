"""Children that a cell forks. They have the kernel's sockets and none of its threads: each ends where its cell does.

One that went on into the kernel's loop would spin there for good, and whoever waits for it would wait for good.
"""

import os
import sys
import traceback

_kernel_pid = os.getpid()


def is_child():
    return os.getpid() != _kernel_pid


def leave(error=None):
    """Ends a child as Python ends a script: what it says on stderr, and with which code."""
    code = 0 if error is None else 1
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            code = error.code or 0
        else:
            print(error.code, file=sys.stderr)
    elif error is not None:
        traceback.print_exception(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S110 -- whatever the code has put there may throw
            pass
    os._exit(code)
