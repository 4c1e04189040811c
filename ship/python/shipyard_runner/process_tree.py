"""Finding and ending every process that came from one command, also those that left its group and session.

Each command is started with a soft limit of its own on the bytes of POSIX message queues. The limit is inherited through
fork, setsid and exec, cannot be lost by accident (as an environment variable can), and costs two system calls; so
/proc/<pid>/limits tells which command a process came from even where its parents are gone.
"""

import os
import resource
import signal

_LIMIT = resource.RLIMIT_MSGQUEUE
_FIRST_MARK = 4096
#: Rounds of looking for new members. Stopped processes fork no more, so that two are enough unless somebody interferes.
_MAX_ROUNDS = 50


class Marks:
    """Hands out the marks. 0 where the limit is too low to carry any."""

    def __init__(self):
        self._soft, self._hard = resource.getrlimit(_LIMIT)
        top = 2**30 if self._hard == resource.RLIM_INFINITY else self._hard
        self._count = max(0, min(top, 2**30) - _FIRST_MARK)
        self._next = 0

    def take(self, in_use):
        for _ in range(min(self._count, len(in_use) + 1)):
            mark = _FIRST_MARK + self._next
            self._next = (self._next + 1) % self._count
            if mark not in in_use and mark != self._soft:
                return mark
        return 0

    def put_on(self, mark):
        """What is forked from now on carries the mark, until take_off()."""
        if mark:
            resource.setrlimit(_LIMIT, (mark, self._hard))

    def take_off(self):
        resource.setrlimit(_LIMIT, (self._soft, self._hard))


def signal_tree(leader, mark, number, leader_is_ours):
    """Sends a signal to all that came from `leader`. Everything is stopped first, so that nobody forks out of reach.

    `leader` counts only while it has not been reaped (leader_is_ours): after that its number may be another's.
    """
    stopped = []
    seen = set()
    for _ in range(_MAX_ROUNDS):
        fresh = [pid for pid in _members(leader if leader_is_ours else 0, mark, seen) if pid not in seen]
        if not fresh:
            break
        for pid in fresh:
            seen.add(pid)
            if _send(pid, signal.SIGSTOP):
                stopped.append(pid)
    for pid in stopped:
        _send(pid, number)
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        for pid in stopped:
            _send(pid, signal.SIGCONT)


def signal_descendants(ancestor, number):
    """The same for all descendants of a process that adopts orphans."""
    seen = set()
    for _ in range(_MAX_ROUNDS):
        fresh = [pid for pid in _members(ancestor, 0, seen) if pid not in seen and pid != ancestor]
        if not fresh:
            return
        for pid in fresh:
            seen.add(pid)
            _send(pid, signal.SIGSTOP)
        for pid in fresh:
            _send(pid, number)


def foreground_group(pid):
    """The foreground process group of a process's controlling terminal; 0 where there is none."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            return max(0, int(file.read().rpartition(b")")[2].split()[5]))
    except OSError:
        return 0


def _members(leader, mark, known):
    """Pids that carry the mark, or belong to the leader by group, session or descent."""
    found = set(known)
    if leader:
        found.add(leader)
    rows = []
    for pid in _pids():
        row = _read_stat(pid)
        if row is None:
            continue
        rows.append(row)
        if leader and leader in row[2:4]:
            found.add(pid)
        elif mark and pid not in found and _read_mark(pid) == mark:
            found.add(pid)
    grown = True
    while grown:
        grown = False
        for pid, parent, _group, _session, _state in rows:
            if parent in found and pid not in found:
                found.add(pid)
                grown = True
    alive = {row[0] for row in rows if row[4] not in "ZX"}
    own = os.getpid()
    return [pid for pid in found if pid in alive and pid != own and pid != 1]


def _pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read_stat(pid):
    """(pid, parent, group, session, state)"""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return (pid, int(fields[1]), int(fields[2]), int(fields[3]), fields[0].decode())


def _read_mark(pid):
    try:
        with open("/proc/%d/limits" % pid, "rb") as file:
            for line in file:
                if line.startswith(b"Max msgqueue size"):
                    soft = line.split()[3]
                    return int(soft) if soft.isdigit() else 0
    except OSError:
        pass
    return 0


def _send(pid, number):
    try:
        os.kill(pid, number)
        return True
    except (ProcessLookupError, PermissionError):
        return False
