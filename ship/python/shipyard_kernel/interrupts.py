"""SIGINT: KeyboardInterrupt while a cell's code runs, and at no other time.

Stock ipykernel lets it strike anywhere in the handling of a request. Between the end of the code and the reply it swallows
the reply, and the client waits for ever.
"""

import _signal
import asyncio
import contextlib
import os
import signal
import threading
import time

_OURS = os.path.dirname(__file__)
_main = threading.main_thread().ident

# Without the enumerations around them, which cost ten times as much: they are called for every cell.
_set_handler, _get_handler = _signal.signal, _signal.getsignal
_SIGINT = int(signal.SIGINT)
_SIGNALS = tuple(map(int, signal.valid_signals()))

#: Ignored by default, so that one that comes too late, or in a child, does nothing.
_NUDGE = signal.SIGURG
#: Seconds between the nudges.
_PATIENCE = (0.01, 0.03, 0.1, 0.3)


class Interrupts:
    def __init__(self):
        self._allowed = False
        self._expecting = False
        self._held = 0
        self._wanted = False
        self._runs = 0
        #: Of code with a top-level await: the loop, the cell's task, and the kernel's own, which waits for it.
        self._tasks = None
        #: A stretch of our own that must not be cut in two: `with interrupts.held:`. May be nested.
        self.held = _Held(self)
        self._handler = self._on_signal
        self._harmless = frozenset(map(id, (self._handler, _do_nothing, int(signal.SIG_DFL), int(signal.SIG_IGN), None)))

    def install(self):
        _set_handler(_SIGINT, self._handler)

    def nothing_breaks_in(self):
        """Whether no signal has a handler of the user's, which could raise an exception anywhere."""
        return self._harmless.issuperset(map(id, map(_get_handler, _SIGNALS)))

    def watch(self):
        """Sees to it that an interrupt strikes at once also where it came just before a blocking call.

        Python notes a signal and runs the handler between two instructions; a system call that begins in between, say
        that of time.sleep(), runs to its end first. Another signal breaks it off.
        """
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(writer, False)
        signal.signal(_NUDGE, _do_nothing)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._nudge, args=(reader,), name="Interrupts", daemon=True).start()

    def _nudge(self, reader):
        while True:
            if signal.SIGINT not in os.read(reader, 64):
                continue
            runs = self._runs
            for seconds in _PATIENCE:
                time.sleep(seconds)
                if self._runs != runs or signal.getsignal(_NUDGE) is not _do_nothing:
                    break
                signal.pthread_kill(_main, _NUDGE)

    def _on_signal(self, _signum, _frame):
        self._runs += 1
        if self._allowed and not self._held:
            self._interrupt()
            return
        # Comes before the code has begun, or inside of `held`: kept until it can strike.
        if self._allowed or self._expecting:
            self._wanted = True

    def expect(self):
        """A cell arrived: an interrupt from now on is meant for it."""
        self._expecting = True
        self._wanted = False

    def allow(self):
        """The cell's code begins; until forbid() it may strike anywhere, also between the statements."""
        self._allowed = True
        self._expecting = False
        self._strike()

    def forbid(self):
        self._allowed = False
        self._expecting = False
        self._wanted = False

    @contextlib.contextmanager
    def paused(self):
        """Of a cell whose code has ended: nothing is left to be interrupted."""
        allowed, self._allowed = self._allowed, False
        try:
            yield
        finally:
            self._wanted = False
            self._allowed = allowed

    def rest(self):
        """Of a task's code a piece has ended: what comes until the next begins is kept for that, and outside of it lost."""
        if self._tasks:
            self._allowed = False
            self._expecting = True

    @contextlib.contextmanager
    def of_task(self, task):
        """The cell is this task: it is interrupted as a whole, wherever it waits."""
        self._tasks = (asyncio.get_running_loop(), task, asyncio.current_task())
        try:
            yield
        finally:
            self._tasks = None

    def _strike(self):
        if self._wanted:
            self._wanted = False
            self._interrupt()

    def _interrupt(self):
        if self._tasks is None:
            raise KeyboardInterrupt
        loop, cell, own = self._tasks
        running = asyncio.current_task(loop)
        if running is cell:
            raise KeyboardInterrupt
        # It waits. A KeyboardInterrupt anywhere but in its own code would end the loop, and the kernel.
        if running in (None, own):
            loop.call_soon_threadsafe(cell.cancel)  # which wakes the loop
        else:
            cell.cancel()  # now: the loop may not come to it before another of the tasks that it waits for runs
            raise asyncio.CancelledError


def hide_ours(trace):
    """Cuts what is ours off the end of a traceback: the code's own line is the last that counts."""
    last = trace
    while trace:
        if os.path.dirname(trace.tb_frame.f_code.co_filename) != _OURS:
            last = trace
        trace = trace.tb_next
    if last:
        last.tb_next = None


def _do_nothing(_signum, _frame):
    pass


class _Held:
    """Only the main thread is ever interrupted; for the others it does nothing."""

    def __init__(self, owner):
        self._owner = owner

    def __enter__(self):
        if threading.get_ident() == _main:
            self._owner._held += 1

    def __exit__(self, *_):
        owner = self._owner
        if threading.get_ident() == _main:
            owner._held -= 1
            if owner._wanted and owner._allowed and not owner._held:
                owner._strike()


interrupts = Interrupts()
