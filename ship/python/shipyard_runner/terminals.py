"""Terminals: the agent's pseudo-terminal, handed in by attach_terminal.py over a socket that both sides see.

The agent makes the pseudo-terminal (node-pty) with the attach helper on it; the helper connects here, names the token
that the agent told us too, and hands over its descriptor. When the program has ended we say so on the connection, and
the helper writes the marker that tells the agent where the output ends.
"""

import array
import os
import socket

from .errors import RunnerError

SOCKET_NAME = "attach.sock"
_TOKEN_BYTES = 32
_MAX_CONNECTIONS = 256
_MAX_WAITING = 256


class Terminals:
    def __init__(self, directory, processes):
        self._processes = processes
        #: token -> (request, answer): what the agent asked for, until the terminal arrives
        self._expected = {}
        #: token -> (connection, tty): what arrived before the agent asked
        self._arrived = {}
        self._connections = {}
        path = os.path.join(directory, SOCKET_NAME)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        # For an agent that comes in by the directory's group alone.
        os.chmod(path, 0o770)
        self._listener.listen(16)
        self._listener.setblocking(False)

    def fileno(self):
        return self._listener.fileno()

    def connections(self):
        """Descriptors that have not named their token yet."""
        return list(self._connections)

    def accept(self):
        try:
            connection, _address = self._listener.accept()
        except OSError:
            return None
        if len(self._connections) >= _MAX_CONNECTIONS:
            connection.close()
            return None
        connection.setblocking(False)
        self._connections[connection.fileno()] = connection
        return connection.fileno()

    def receive(self, descriptor):
        """The token and the terminal of a new connection; whatever else comes is dropped."""
        connection = self._connections.pop(descriptor)
        received = array.array("i")
        try:
            token, ancillary, _flags, _address = connection.recvmsg(_TOKEN_BYTES, socket.CMSG_SPACE(received.itemsize))
        except OSError:
            token, ancillary = b"", []
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received.frombytes(data[: len(data) - len(data) % received.itemsize])
        if len(token) != _TOKEN_BYTES or len(received) != 1 or not os.isatty(received[0]):
            for extra in received:
                os.close(extra)
            connection.close()
            return
        name = token.decode("ascii", "replace")
        tty = received[0]
        os.set_inheritable(tty, False)
        expected = self._expected.pop(name, None)
        if expected is not None:
            self._start(*expected, connection, tty)
        elif len(self._arrived) < _MAX_WAITING:
            self._arrived[name] = (connection, tty)
        else:
            os.close(tty)
            connection.close()

    def open(self, request, answer):
        """answer(result) or answer(error) once the program runs; the agent keeps the deadline and says forget()."""
        arrived = self._arrived.pop(request["token"], None)
        if arrived is not None:
            self._start(request, answer, *arrived)
        else:
            self._expected[request["token"]] = (request, answer)

    def forget(self, request):
        expected = self._expected.pop(request["token"], None)
        if expected is not None:
            expected[1](RunnerError("INTERNAL", "the terminal did not arrive"))
        arrived = self._arrived.pop(request["token"], None)
        if arrived is not None:
            arrived[0].close()
            os.close(arrived[1])
        return {}

    def _start(self, request, answer, connection, tty):
        try:
            # The connection's end is the word: the helper needs no other.
            process = self._processes.spawn_on_terminal(request, tty, connection.close)
        except RunnerError as error:
            answer(error)
            connection.close()
            return
        finally:
            os.close(tty)
        answer({"pid": process.pid, "mark": process.mark})
