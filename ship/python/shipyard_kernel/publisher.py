"""The thread that owns the iopub socket, with real back-pressure: nothing is dropped, and nothing piles up.

The socket blocks at its high-water mark instead of dropping (XPUB_NODROP), so a slow agent makes this thread wait; and
whoever publishes waits once a few megabytes are on their way.
"""

import sys
import threading
import traceback
from collections import deque

import zmq
from ipykernel.iostream import IOPubThread

from .interrupts import interrupts

#: Messages in the socket; output messages hold at most 256 KiB.
HIGH_WATER_MARK = 32
#: Bytes between the publishers and the socket.
ROOM_BYTES = 4 * 1024 * 1024


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
        #: Of the streams: while it is `armed`, serve() is called within some milliseconds.
        self.timer = None
        super().__init__(*args, **kwargs)
        self.without_waiting = _Channel(self.send_without_waiting)
        self.in_time = _Channel(self.send_in_time)

    def schedule(self, f):
        if not self.thread.is_alive():
            f()
            return
        with interrupts.held:
            self._events.append(f)
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
        for _ in range(len(self._events)):
            try:
                self._events.popleft()()
            except Exception:
                traceback.print_exc(file=sys.__stderr__)

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
        size = sum(len(part) if isinstance(part, bytes) else memoryview(part).nbytes for part in msg)
        with interrupts.held:
            with self._counting:
                self._in_flight += size
            schedule(lambda: self._send_and_make_room(size, msg, *args, **kwargs))

    def _send_and_make_room(self, size, msg, *args, **kwargs):
        try:
            self._really_send(msg, *args, **kwargs)
        finally:
            with self._counting:
                self._in_flight -= size
            while self._gates and self._in_flight < ROOM_BYTES:
                self._gates.popleft().release()


class _Channel:
    """What Session.send takes for a socket: one way of handing over."""

    def __init__(self, send_multipart):
        self.send_multipart = send_multipart
