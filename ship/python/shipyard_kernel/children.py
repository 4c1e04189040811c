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
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if code != error.code and error.code is not None:
            print(error.code, file=sys.stderr)
    elif error is not None:
        code = 1
        traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S110 -- whatever the code has put there may throw
            pass
    os._exit(code)
