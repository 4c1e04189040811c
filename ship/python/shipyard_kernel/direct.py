"""The shell socket without detours: what is sent is sent at once, and a message that came is worked on in one task.

pyzmq's stream puts a reply into a queue, and comes back for it and for itself in later rounds of the event loop; each round
is a system call, and a wait for the interpreter's lock.
"""

import asyncio
import contextvars
import sys

import zmq
from zmq.eventloop.zmqstream import ZMQStream

from . import frames

_POLLIN, _NOBLOCK = int(zmq.POLLIN), int(zmq.NOBLOCK)


class DirectStream(ZMQStream):
    def send_multipart(self, msg, flags=0, copy=True, track=False, callback=None, **kwargs):
        if callback or self._send_callback or not self._send_queue.empty():
            super().send_multipart(msg, flags, copy, track, callback, **kwargs)
            return
        if copy is True and not flags:
            frames.send(self.socket, msg)
        else:
            self.socket.send_multipart(msg, flags, copy=copy)
        # Sending may take the sign that something came, and there is no second one.
        if self.socket.get(zmq.EVENTS) & _POLLIN:
            self.io_loop.add_callback(self._handle_events, self.socket, 0)

    def _handle_events(self, fd, events):
        callback = self._recv_callback
        if not callback or not self.socket or self._flushed or self.sending():
            super()._handle_events(fd, events)
            return
        try:
            msg = self.socket.recv_multipart(_NOBLOCK, copy=self._recv_copy)
        except zmq.Again:
            return
        except zmq.ZMQError:
            super()._handle_events(fd, events)  # which says what is wrong
            return
        self._run_callback(callback, msg)
        if self.socket and self.socket.get(zmq.EVENTS) & _POLLIN:
            self.io_loop.add_callback(self._handle_events, self.socket, 0)

    def flush(self, flag=zmq.POLLIN | zmq.POLLOUT, limit=None):
        if flag == zmq.POLLOUT and self._send_queue.empty():
            return 0
        return super().flush(flag, limit)


def install(kernelapp):
    """The application's streams are made of this class."""
    for name in ("_send_queue", "_send_callback", "_recv_callback", "_recv_copy", "_flushed"):
        if name not in ZMQStream.__annotations__:
            raise AttributeError(name)
    kernelapp.ZMQStream = DirectStream


def receive(kernel):
    """Each message to a task of its own, in one context that lasts: what a cell sets in it the next one finds."""
    if sys.version_info < (3, 11):
        raise RuntimeError("tasks have no context before Python 3.11")
    work = kernel.shell_main
    loop = kernel.io_loop.asyncio_loop
    context = contextvars.copy_context()
    running = []

    def take(msg):
        # Not by the loop, which may have a task factory of the user's.
        task = asyncio.Task(work(None, msg), loop=loop, context=context)
        # The loop itself does not hold a task that waits. Those that are done go here: to be told of it costs a turn.
        running[:] = (*(each for each in running if not each.done()), task)

    kernel.shell_stream.on_recv(take, copy=False)
