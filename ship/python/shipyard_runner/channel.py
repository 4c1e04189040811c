"""Node's IPC channel, spoken from Python.

Node (child_process with an 'ipc' entry and serialization 'json') writes one JSON value a line on a socketpair. A file
descriptor travels by SCM_RIGHTS beside a line of the form {"cmd": "NODE_HANDLE", "type": ..., "msg": ...}, which Node
answers with NODE_HANDLE_ACK and hands to the listener as (msg, handle). Node aborts on anything but pipes and stream
sockets, so nothing else may be sent.
"""

import array
import json
import os
import socket
import threading

_RECEIVE_BYTES = 256 * 1024
#: Longer lines can only come from a defect: the largest request is a text file of 16 MiB, escaped.
_MAX_LINE_BYTES = 128 * 1024 * 1024


class Channel:
    def __init__(self, descriptor):
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(True)
        self._lock = threading.Lock()
        self._parts = []
        self._held_bytes = 0

    def fileno(self):
        return self._socket.fileno()

    def send(self, message):
        """Whole messages from any thread. Blocks while the agent is behind, which bounds what waits here."""
        line = json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            self._socket.sendall(line)

    def send_pipe(self, message, descriptor):
        """Hands a pipe end to Node and closes our copy."""
        # libuv takes a descriptor that it received as it is; a blocking one would stop the agent's loop.
        os.set_blocking(descriptor, False)
        line = json.dumps({"cmd": "NODE_HANDLE", "type": "net.Native", "msg": message}).encode("ascii") + b"\n"
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        try:
            with self._lock:
                sent = self._socket.sendmsg([line], rights)
                if sent < len(line):
                    self._socket.sendall(line[sent:])
        finally:
            os.close(descriptor)

    def receive(self):
        """The messages that one read completes; None at the end, when the agent is gone."""
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except ConnectionError:
            return None
        if not data:
            return None
        if b"\n" not in data:
            self._held_bytes += len(data)
            if self._held_bytes > _MAX_LINE_BYTES:
                raise ValueError("a line of the channel is too long")
            self._parts.append(data)
            return []
        first, *lines = data.split(b"\n")
        lines.insert(0, b"".join([*self._parts, first]))
        rest = lines.pop()
        self._parts = [rest] if rest else []
        self._held_bytes = len(rest)
        messages = [json.loads(line) for line in lines if line]
        return [message for message in messages if not str(message.get("cmd", "")).startswith("NODE_")]
