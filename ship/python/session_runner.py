"""The session runner: a session's hands inside its sandbox, asked by the agent over Node's IPC channel.

    session_runner.py [--uid UID] [--guard]        channel on descriptor 3

--uid    become this user first (the runner is started as root with CAP_SETUID and CAP_SETGID)
--guard  there is no pid namespace that ends with us: a second process stays behind and ends whatever we leave

Requests are {id, op, ...}; answers {id, ok} or {id, error: {reason, message, details}}; pipe ends come before the
answer as {id, handle: name}; events are {event: "exit", name, code | signal} and {event: "stream", stream, bytes | error}.
When the channel ends the agent is gone, and everything in the session ends with it.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from shipyard_runner import isolation  # noqa: E402 -- the path is set above; everything is imported before uid changes
from shipyard_runner.runner import run  # noqa: E402

CHANNEL = 3


def main(arguments):
    os.umask(0o077)
    os.chdir("/")
    _be_first_out_of_memory()
    if "--uid" in arguments:
        isolation.become(int(arguments[arguments.index("--uid") + 1]))
    isolation.shield()
    guarded = "--guard" in arguments
    if guarded:
        from shipyard_runner.guard import leave_guard

        leave_guard(CHANNEL)
    run(CHANNEL, guarded)


def _be_first_out_of_memory():
    """The session's processes inherit it: the kernel takes them before the ship's agent."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")
    except OSError:
        pass  # a /proc that is read-only


if __name__ == "__main__":
    main(sys.argv[1:])
