"""The process that node-pty starts on a new pseudo-terminal, outside the session's sandbox.

    attach_terminal.py SOCKET [UID]        SHIPYARD_TERMINAL_TOKEN, SHIPYARD_TERMINAL_MARKER in the environment

It hands its terminal to the session's runner and keeps the slave side open, so that no output can be lost at the
program's end. When the runner closes the connection, the program has ended: the helper writes the marker, behind which
the agent reads no further, and waits until the agent closes the terminal.
"""

import array
import fcntl
import os
import select
import signal
import socket
import sys
import termios


def main(path, owner):
    token = os.environb[b"SHIPYARD_TERMINAL_TOKEN"]
    marker = b"\0end " + os.environb[b"SHIPYARD_TERMINAL_MARKER"] + b"\0"

    # The program is to be the terminal's session: give it up, which hangs up our own group.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    fcntl.ioctl(0, termios.TIOCNOTTY)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if owner is not None:
        _give_to(owner)

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10)
    connection.connect(path)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]
    connection.sendmsg([token], rights)
    connection.settimeout(None)

    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(0, 0)  # POLLHUP alone: the agent closed the terminal, or died
    if any(descriptor == 0 for descriptor, _events in poll.poll()):
        return
    _let_output_pass()
    view = memoryview(marker)
    while view:
        view = view[os.write(1, view) :]
    poll.unregister(connection)
    poll.poll()


def _give_to(owner):
    """The terminal's device, for programs that open it by name. By its group, for which no CAP_CHOWN is needed."""
    os.setgroups([owner])
    os.fchown(0, -1, owner)
    os.fchmod(0, 0o660)


def _let_output_pass():
    """The program may have left the terminal stopped (Ctrl-S), or rewriting what is written."""
    mode = termios.tcgetattr(0)
    mode[0] &= ~termios.IXON
    mode[1] &= ~termios.OPOST
    termios.tcsetattr(0, termios.TCSANOW, mode)
    termios.tcflow(0, termios.TCOON)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
