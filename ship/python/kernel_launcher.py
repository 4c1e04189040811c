"""Starts the kernel of a session.

    kernel_launcher.py [--stock] -f CONNECTION_FILE

The connection information comes as JSON on stdin and is written to CONNECTION_FILE here, so that the file, and with it
the key, belongs to the session's user from its first moment. Without --stock the kernel is Shipyard's; where that cannot
start, the process leaves with CANNOT_START before it has answered anything, and the agent asks for the stock kernel.
"""

import gc
import os
import sys

CANNOT_START = 78


def main(argv):
    stock = argv[:1] == ["--stock"]
    arguments = argv[1:] if stock else argv
    _write_connection_file(arguments[arguments.index("-f") + 1])
    _leave_stdin()
    if stock:
        # Its sockets are for the directory's group too, which is the agent's where that is another user.
        os.umask(0o007)
        # As ours: a file of past inputs, synced to the disk for each cell, would be the log's double.
        history = "--HistoryManager.enabled=False"
        # It sleeps half a millisecond before each reply, for clients that take that for the end of a cell. Ours waits for idle.
        sleep = "--IPythonKernel._execute_sleep=0"
        os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", history, sleep, *arguments])
    # What is imported stays: looking through it again and again would cost a tenth of the start.
    gc.disable()
    try:
        from module_store import served

        with served("kernel_launcher"):
            from shipyard_kernel import app
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.exit(CANNOT_START)
    gc.freeze()
    gc.enable()
    # As in any kernel: the working directory first, and nothing of ours in the way of the user's imports.
    sys.path[0] = ""
    app.run(arguments)


def _write_connection_file(path):
    content = sys.stdin.buffer.read()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _leave_stdin():
    """Programs that the user starts find an empty stdin, not ours."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    main(sys.argv[1:])
