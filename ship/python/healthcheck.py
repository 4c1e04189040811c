"""Leaves with 0 where the agent of this container answers, on its port or its socket."""

import socket
import sys

_PLACES = ((socket.AF_INET, ("127.0.0.1", 8123)), (socket.AF_UNIX, "/ship/run/agent.sock"))
#: An HTTP/2 client's first words. A server with TLS answers them too, by refusing.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_TIMEOUT_S = 3


def answers(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(address)
            connection.sendall(_HELLO)
            return len(connection.recv(1)) > 0
        except OSError:
            return False


if __name__ == "__main__":
    sys.exit(0 if any(answers(*place) for place in _PLACES) else 1)
