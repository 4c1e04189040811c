"""Where no pid namespace ends with the runner, a guard does: the runner's parent, which outlives it by a moment.

SIGUSR1 tells it to end everything now: a runner that the session has stopped does not leave by itself.
"""

import os
import signal

from . import isolation
from .process_tree import signal_descendants


def leave_guard(channel):
    """Returns in a child, which goes on as the runner. The parent ends all that the child leaves, then itself."""
    isolation.adopt_orphans()
    signal.signal(signal.SIGUSR1, _end_all)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        isolation.adopt_orphans()
        # A guard that was killed: the runner ends everything instead.
        isolation.die_with_parent(signal.SIGTERM)
        return
    os.close(channel)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            ended, status = os.wait()
        except ChildProcessError:
            os._exit(1)
        if ended == pid:
            end_descendants()
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _end_all(_number, _frame):
    end_descendants()
    os._exit(1)


def end_descendants():
    signal_descendants(os.getpid(), signal.SIGKILL)
