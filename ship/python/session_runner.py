"""The session runner: a session's hands inside its sandbox, asked by the agent over Node's IPC channel.

    session_runner.py [--uid UID] [--guard]                channel on descriptor 3
    session_runner.py --uid UID --own-user HOME SOCKETS    the same, where only the user tells sessions apart
    session_runner.py --uid UID --end SOCKETS              ends that user

--uid       become this user first (the runner is started as root with CAP_SETUID and CAP_SETGID)
--guard     there is no pid namespace that ends with us: a second process stays behind and ends whatever we leave
--own-user  likewise, but everything of the user is the session's and ends with us; the two directories are made first
--end       no runner: kills everything of the user and removes what it left outside its home

Requests are {id, op, ...}; answers {id, ok} or {id, error: {reason, message, details}}; pipe ends come before the
answer as {id, handle: name}; events are {event: "exit", name, code | signal} and {event: "stream", stream, bytes | error}.
When the channel ends the agent is gone, and everything in the session ends with it.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from module_store import served  # noqa: E402 -- the path is set above

with served("session_runner"):  # before the uid changes
    from shipyard_runner import isolation, own_user
    from shipyard_runner.runner import run

CHANNEL = 3


def main(arguments):
    os.umask(0o077)
    os.chdir("/")
    _close_inherited()
    uid, arguments = (int(arguments[1]), arguments[2:]) if arguments[:1] == ["--uid"] else (None, arguments)
    mode, places = arguments[:1], arguments[1:]
    if mode == ["--end"]:
        own_user.end_user(uid, *places)
        return
    if mode == ["--own-user"]:
        own_user.make_places(uid, *places)
    _be_first_out_of_memory()
    if uid is not None:
        isolation.become(uid)
    isolation.shield()
    if mode == ["--guard"]:
        from shipyard_runner import guard

        guard.leave_guard(CHANNEL)
        run(CHANNEL, guarded=True, end=guard.end_descendants)
    run(CHANNEL, end=own_user.end_own if mode == ["--own-user"] else None)


def _close_inherited():
    """What was open where Bay was started, and came down to here, is not the session's."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > CHANNEL:
            try:
                os.close(int(name))
            except OSError:
                pass  # the listing's own, closed by now


def _be_first_out_of_memory():
    """The session's processes inherit it: the kernel takes them before the ship's agent."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")
    except OSError:
        pass  # a /proc that is read-only


if __name__ == "__main__":
    main(sys.argv[1:])
