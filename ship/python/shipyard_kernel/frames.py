"""Sends a message of copied parts straight to libzmq; pyzmq reckons with its enumerations for each part, which takes longer."""

import zmq
from zmq.backend import Socket

_send = Socket.send
_MORE = int(zmq.SNDMORE)
_BYTES = frozenset((bytes,))
AT_ONCE = int(zmq.NOBLOCK)


def send(socket, parts, flags=0):
    """With AT_ONCE: zmq.Again where it would wait, and nothing is sent then. Room is asked for the first part only."""
    if not _BYTES.issuperset(map(type, parts)):
        # pyzmq sees to it that none of a message is sent that has a part of the wrong type.
        socket.send_multipart(parts, flags)
        return
    *most, last = parts
    more = flags | _MORE
    for part in most:
        _send(socket, part, more)
    _send(socket, last, flags)
