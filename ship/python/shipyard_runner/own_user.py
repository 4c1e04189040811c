"""Sessions that are told apart by their user alone, in a container: no namespace hides others, none ends with the runner.

The agent is root there with no capability but CAP_SETUID and CAP_SETGID, so that it may neither give files away nor signal
or enter what is a session's. Whatever must be done about a session is done here, by a process that is its user for long
enough.
"""

import os
import signal
import stat
import time

from .remove_tree import remove_tree

#: The real user of one who ends a user: nobody's, so that the ended cannot signal back. Sessions have uids below it.
_ENDER_OFFSET = 20_000
_ENDER_TIMEOUT_S = 10
_SHARED_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108


def make_places(uid, home, sockets):
    """Makes the session's home and its directory of sockets, as root for `uid`.

    Both lie in directories where only the agent's group may make anything, so that no session takes another's place. The
    agent's group may enter the directory of sockets, and what is made there is of that group.
    """
    agent, group = os.geteuid(), os.getegid()
    os.setgroups([group])
    os.setegid(uid)
    os.seteuid(uid)
    try:
        _make_home(home, uid)
        os.mkdir(sockets, 0o700)
        os.chown(sockets, -1, group)
        os.chmod(sockets, 0o2770)
    finally:
        os.seteuid(agent)
        os.setegid(group)


def _make_home(path, uid):
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
            raise SystemExit("the home %s is not a directory of uid %d" % (path, uid)) from None
        os.chmod(path, 0o700)


def end_own():
    """From the user itself: everything of it but this process."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody was left


def end_user(uid, sockets):
    """Kills every process of `uid` until none is left, from a process that none of them can reach, and removes what the
    user left in memory. Raises SystemExit where a process does not go.
    """
    ender = uid + _ENDER_OFFSET
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(ender, uid, ender)
    deadline = time.monotonic() + _ENDER_TIMEOUT_S
    while _lives(uid):
        if time.monotonic() > deadline:
            raise SystemExit("processes of uid %d outlive SIGKILL" % uid)
        end_own()
        time.sleep(0.005)
    _empty(sockets, uid)
    for directory in _SHARED_DIRECTORIES:
        _empty(directory, uid)


def _lives(uid):
    """Whether a process has this uid in any way; those that only wait to be reaped do not count."""
    own = str(os.getpid())
    return any(_is_of(pid, uid) for pid in os.listdir("/proc") if pid.isdigit() and pid != own)


def _is_of(pid, uid):
    uids, state = (), b"X"
    try:
        with open("/proc/%s/status" % pid, "rb") as file:
            for line in file:
                if line.startswith(b"State:"):
                    state = line.split()[1]
                elif line.startswith(b"Uid:"):
                    uids = line.split()[1:]
                    break
    except OSError:
        return False  # gone
    return state not in (b"Z", b"X") and b"%d" % uid in uids


def _empty(path, uid):
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # never made, or not this container's
    try:
        for name in os.listdir(directory):
            try:
                if os.stat(name, dir_fd=directory, follow_symlinks=False).st_uid == uid:
                    _remove(directory, name)
            except OSError:
                continue  # memory that stays taken until the container ends
    finally:
        os.close(directory)


def _remove(directory, name):
    if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        remove_tree(directory, name)
    else:
        os.unlink(name, dir_fd=directory)
