"""The pipes behind file descriptors 1 and 2: what is written past Python, the thread that reads it, and the flush timer.

A pipe is read only under its stream's lock, and every write looks into it first: so whatever was in it comes before. At
the end of a cell the pipe is drained and replaced. A child that still holds the old one goes on writing as the cell that
started it.
"""

import ctypes
import fcntl
import os
import select
import sys
import threading

from . import cells
from .interrupts import interrupts
from .timer import Timer

#: Output is held back this long, so that many prints make one message.
FLUSH_SECONDS = 0.01
#: And at most this much of it, in characters or bytes: with one more small write it fits into one event of the log.
FLUSH_SIZE = 60 * 1024
READ_SIZE = 64 * 1024


class _Pipe:
    """What stands behind file descriptor 1 or 2 while one cell runs."""

    __slots__ = ("cell", "fd", "stream")

    def __init__(self, stream, cell):
        self.stream = stream
        self.cell = cell
        reader, writer = os.pipe2(os.O_CLOEXEC)
        if reader <= 2 or writer <= 2:
            reader, writer = _above_standard(reader), _above_standard(writer)
        self.fd = reader
        os.set_blocking(reader, False)
        os.dup2(writer, stream.descriptor, inheritable=True)
        os.close(writer)


def _above_standard(fd):
    """Where the user's code closed descriptor 0, 1 or 2, a new pipe would take its number."""
    if fd > 2:
        return fd
    higher = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return higher


class Capture:
    """Both streams, the thread that reads their pipes, and the timer that flushes them."""

    def __init__(self, publisher):
        self.publisher = publisher
        self.streams = []
        self.forked = False
        self.armed = False
        self._pipes = {}
        self._epoll = None
        libc = ctypes.CDLL(None)
        self._fflush = libc.fflush
        self._c_stdout = ctypes.c_void_p.in_dll(libc, "stdout")
        self._serve = getattr(publisher, "serve", lambda: None)
        self._wait_for_room = getattr(publisher, "wait_for_room", lambda: None)
        self.wait_until_sent = getattr(publisher, "wait_until_sent", lambda: None)
        publisher.timer = self
        self._timer = Timer(publisher, FLUSH_SECONDS, self._tick)
        os.register_at_fork(after_in_child=self._after_fork)

    def add(self, stream):
        self.streams.append(stream)
        if self._epoll is None:
            self._epoll = select.epoll()
            threading.Thread(target=self._read_pipes, name="Output", daemon=True).start()
        stream.pipe = self._open(stream, cells.IDLE)

    # The timer

    def arm(self):
        """Something was written: flush within FLUSH_SECONDS."""
        with interrupts.held:
            if not self.armed:
                self.armed = True
                self._timer.start()

    def disarm(self):
        """The cell is over: a timer that has nothing to do need not wake anybody."""
        with interrupts.held:
            if not self.armed:
                return
            # In this order: who writes in between sees that it is not armed, or is seen here.
            self._timer.stop()
            self.armed = False
            if getattr(self.publisher, "queued", True) or any(stream.pending for stream in self.streams):
                self.arm()

    def _tick(self):
        # Runs in the publisher's thread, which must never wait for room: it is the one that makes room.
        self.armed = False
        self._serve()
        for stream in self.streams:
            if stream.pending and not stream.flush_if_free():
                self.arm()

    # Cells

    def begin_cell(self, cell):
        for stream in self.streams:
            with stream.lock:
                if stream.unread():
                    stream.drain(stream.pipe)
                stream.pipe.cell = cell
        self.armed = self.armed and self._timer.is_there()
        self.arm()

    def end_cell(self):
        """Everything written so far by this process and by children that are gone belongs to the cell, and is sent."""
        self.flush_c()
        for stream in self.streams:
            with stream.lock:
                self._change_pipe(stream)
            stream.send_pending()

    def _change_pipe(self, stream):
        old = stream.pipe
        # Before its last writer goes, which would wake the thread that reads.
        self._ignore(old)
        try:
            stream.pipe = self._open(stream, cells.IDLE)
        except OSError:
            # The user's code has all descriptors. With the old pipe, only what outlives a cell cannot be told from the next.
            if not stream.drain(old):
                self._epoll.register(old.fd, select.EPOLLIN)
            old.cell = cells.IDLE
            return
        if stream.drain(old):
            self._close(old)
        else:
            self._epoll.register(old.fd, select.EPOLLIN)

    def flush_c(self):
        """What sits in the buffers of the original streams and of C's stdout comes out."""
        for original in (sys.__stdout__, sys.__stderr__):
            try:
                if original is not None:
                    original.flush()
            except (OSError, ValueError):
                pass  # closed by the user's code
        self._fflush(self._c_stdout)

    def flush_all(self):
        self.flush_c()
        for stream in self.streams:
            with stream.lock:
                stream.drain(stream.pipe)
            stream.send_pending()

    # The pipes

    def _open(self, stream, cell):
        pipe = _Pipe(stream, cell)
        self._pipes[pipe.fd] = pipe
        self._epoll.register(pipe.fd, select.EPOLLIN)
        return pipe

    def _ignore(self, pipe):
        try:
            self._epoll.unregister(pipe.fd)
        except FileNotFoundError:
            pass  # was at its end before

    def _close(self, pipe):
        del self._pipes[pipe.fd]
        os.close(pipe.fd)

    def _read_pipes(self):
        while True:
            for fd, _ in self._epoll.poll():
                pipe = self._pipes.get(fd)
                if pipe is None:
                    continue
                stream = pipe.stream
                # Waiting here, outside of the lock, lets the pipe fill up: that slows the child and nobody else.
                self._wait_for_room()
                with stream.lock:
                    if self._pipes.get(fd) is not pipe:
                        continue
                    if stream.drain(pipe, READ_SIZE):
                        # The current one is at its end where the user's code closed the descriptor.
                        self._ignore(pipe)
                        if pipe is not stream.pipe:
                            self._close(pipe)
                if stream.size >= FLUSH_SIZE:
                    stream.send_pending()
                elif stream.pending:
                    self.arm()

    def _after_fork(self):
        # A forked child has none of our threads: what it prints goes to its file descriptors, which are its cell's pipes.
        self.forked = True
        for stream in self.streams:
            stream.forget()
