"""A timer of the operating system's own, which goes off in the publisher's event loop: to start it wakes no thread."""

import contextlib
import ctypes
import os
import time


class Timer:
    def __init__(self, publisher, seconds, on_time):
        """on_time() is called in the publisher's thread, once for each start()."""
        self._publisher = publisher
        self._on_time = on_time
        # Keeps the interpreter's lock: the calls are shorter than to get it back would take.
        self._libc = ctypes.PyDLL(None, use_errno=True)
        self._interval_and_value = (ctypes.c_long * 4)(0, 0, 0, int(seconds * 1e9))
        self._never = (ctypes.c_long * 4)()
        self._left = (ctypes.c_long * 4)()
        self._fd = -1
        self._make()

    def start(self):
        if self._set():
            return
        # The user's code has closed it.
        try:
            self._make()
            self._set()
        except OSError:
            self._publisher.schedule(self._on_time)  # no descriptor is left: at once, then

    def stop(self):
        self._libc.timerfd_settime(self._fd, 0, ctypes.byref(self._never), None)

    def is_there(self):
        """False once the user's code has closed it: what it was started for would never come."""
        return self._libc.timerfd_gettime(self._fd, ctypes.byref(self._left)) == 0

    def _set(self):
        return self._libc.timerfd_settime(self._fd, 0, ctypes.byref(self._interval_and_value), None) == 0

    def _make(self):
        loop = self._publisher.io_loop
        old, self._fd = self._fd, self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "no timer")
        fd = self._fd

        def listen():
            if old >= 0:
                loop.remove_handler(old)
            loop.add_handler(fd, self._went_off, loop.READ)

        self._publisher.schedule(listen)

    def _went_off(self, fd, _events):
        with contextlib.suppress(OSError):
            os.read(fd, 8)
        self._on_time()
