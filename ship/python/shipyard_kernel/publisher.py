"""The thread that owns the iopub socket, with real back-pressure: nothing is dropped, and nothing piles up.

The socket blocks at its high-water mark instead of dropping (XPUB_NODROP), so a slow agent makes this thread wait; and
whoever publishes waits once a few megabytes are on their way.

At the end of a cell the main thread sends what is queued itself, where the socket is free and takes it at once: to wake
another thread, and to share the interpreter with it, takes longer. A ZeroMQ socket may pass from thread to thread behind
a lock, so whoever touches it holds one, as does whoever takes from the queue: the order is the queue's.
"""

import sys
import threading
import traceback
from collections import deque

import zmq
from ipykernel.iostream import IOPubThread
from zmq.eventloop.zmqstream import ZMQStream

from . import frames
from .interrupts import interrupts

#: Messages in the socket; output messages hold at most 256 KiB.
HIGH_WATER_MARK = 32
#: Bytes between the publishers and the socket.
ROOM_BYTES = 4 * 1024 * 1024

_main = threading.main_thread().ident
_COPIED = {"copy": True}


def prepare(socket):
    """Before bind. False where libzmq cannot block: then the socket queues without bound, which loses nothing either."""
    if not hasattr(zmq, "XPUB_NODROP"):
        socket.sndhwm = 0
        return False
    socket.setsockopt(zmq.XPUB_NODROP, 1)
    socket.sndhwm = HIGH_WATER_MARK
    return True


class PublisherThread(IOPubThread):
    def __init__(self, *args, **kwargs):
        self._awake = False
        self._in_flight = 0
        # Not a Condition: a KeyboardInterrupt in the middle of its Python code would leave it locked for ever.
        self._counting = threading.Lock()
        self._gates = deque()
        #: Held by whoever takes from the queue or touches the socket.
        self._turn = threading.Lock()
        #: Whether the main thread is between the end of a cell's code and `idle`, and nothing can break in on it.
        self.main_sends = False
        #: Of the streams: while it is `armed`, serve() is called within some milliseconds.
        self.timer = None
        super().__init__(*args, **kwargs)
        self.without_waiting = _Channel(self.send_without_waiting)
        self.in_time = _Channel(self.send_in_time)

    def _setup_xpub_listener(self):
        """Of ipykernel 7, which welcomes subscribers: it reads from the socket in its turn."""
        self._xpub_stream = _StreamInTurn(self.socket, self.io_loop)
        self._xpub_stream.turn = self._turn
        self._xpub_stream.on_recv(self._handle_subscription)

    @property
    def queued(self):
        return bool(self._events)

    def schedule(self, f):
        if not self.thread.is_alive():
            f()
            return
        with interrupts.held:
            self._events.append(f)
            if not self.send_here():
                self.wake()

    def schedule_in_time(self, f):
        """Without a wake-up where the timer brings one anyway: each takes the cell out of its stride."""
        if self.timer is None or not self.thread.is_alive():
            self.schedule(f)
            return
        with interrupts.held:
            # In this order: a timer that goes off in between has served it, or is seen not to be armed.
            self._events.append(f)
            if not self.timer.armed:
                self.wake()

    def wake(self):
        # One is enough for everything that waits when it is served.
        with interrupts.held:
            if not self._awake:
                self._awake = True
                self._event_pipe.send(b"")

    def _handle_event(self, msg):
        self.serve()

    def serve(self):
        """In this thread: does what was scheduled."""
        # What is scheduled from here on wakes us again; nothing scheduled before may stay behind a failure.
        self._awake = False
        with self._turn:
            for _ in range(len(self._events)):
                try:
                    self._events.popleft()()
                except Exception:
                    traceback.print_exc(file=sys.__stderr__)

    def send_here(self):
        """In the main thread: sends what is queued. False where something is left, which is the publisher's then."""
        # Never waits, neither for its turn nor for the socket: what comes from other threads wakes the publisher anyway.
        if not self.main_sends or threading.get_ident() != _main or not self._turn.acquire(blocking=False):
            return False
        try:
            events = self._events
            while events:
                message = events[0]
                if type(message) is not _Message or not message.send_at_once():
                    return False
                events.popleft()
            return True
        finally:
            self._turn.release()

    def wait_for_room(self):
        """Waits while too much is on its way. Interruptible, since a KeyboardInterrupt may be the way out."""
        while self._in_flight >= ROOM_BYTES and threading.current_thread() is not self.thread and self.thread.is_alive():
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
            if self._in_flight >= ROOM_BYTES:
                gate.acquire(timeout=1.0)

    def wait_until_sent(self):
        """Waits until the socket has what was published so far; interruptible, and bounded as wait_for_room is."""
        if threading.current_thread() is self.thread or not self.thread.is_alive():
            return
        with interrupts.held:
            if self.send_here():
                return
        gate = threading.Lock()
        gate.acquire()
        self.schedule(gate.release)
        gate.acquire(timeout=1.0)

    def send_multipart(self, msg, *args, **kwargs):
        self.wait_for_room()
        self.send_without_waiting(msg, *args, **kwargs)

    def send_without_waiting(self, msg, *args, **kwargs):
        self._hand_over(self.schedule, msg, *args, **kwargs)

    def send_in_time(self, msg, *args, **kwargs):
        """For what is early enough some milliseconds later, or with what wakes the thread before."""
        self.wait_for_room()
        self._hand_over(self.schedule_in_time, msg, *args, **kwargs)

    def _hand_over(self, schedule, msg, *args, **kwargs):
        message = _Message(self, msg, args, kwargs)
        with interrupts.held:
            with self._counting:
                self._in_flight += message.size
            schedule(message)

    def _make_room(self, size):
        with self._counting:
            self._in_flight -= size
        while self._gates and self._in_flight < ROOM_BYTES:
            self._gates.popleft().release()


class _Message:
    """One that is queued; calling it sends it, and waits for the socket."""

    __slots__ = ("_args", "_kwargs", "_parts", "_publisher", "size")

    def __init__(self, publisher, parts, args, kwargs):
        self._publisher = publisher
        self._parts = parts
        self._args = args
        self._kwargs = kwargs
        self.size = sum([len(part) if type(part) is bytes else memoryview(part).nbytes for part in parts])

    def __call__(self):
        try:
            self._publisher._really_send(self._parts, *self._args, **self._kwargs)
        finally:
            self._publisher._make_room(self.size)

    def send_at_once(self):
        """False where the socket would make us wait: nothing of it is sent then."""
        publisher = self._publisher
        if self._args or self._kwargs != _COPIED or publisher.closed:
            return False
        try:
            frames.send(publisher.socket, self._parts, frames.AT_ONCE)
        except zmq.Again:
            return False
        except Exception:
            traceback.print_exc(file=sys.__stderr__)
        publisher._make_room(self.size)
        return True


class _StreamInTurn(ZMQStream):
    turn = None

    def _handle_events(self, fd, events):
        with self.turn:
            super()._handle_events(fd, events)


class _Channel:
    """What Session.send takes for a socket: one way of handing over."""

    def __init__(self, send_multipart):
        self.send_multipart = send_multipart
