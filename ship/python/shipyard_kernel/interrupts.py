"""SIGINT: KeyboardInterrupt while a cell's code runs, and at no other time.

Stock ipykernel lets it strike anywhere in the handling of a request. Between the end of the code and the reply it swallows
the reply, and the client waits for ever.
"""

import signal
import threading

_main = threading.main_thread().ident


class Interrupts:
    def __init__(self):
        self._allowed = False
        self._expecting = False
        self._held = 0
        self._wanted = False
        #: A stretch of our own that must not be cut in two: `with interrupts.held:`. May be nested.
        self.held = _Held(self)

    def install(self):
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, _signum, _frame):
        if self._allowed and not self._held:
            raise KeyboardInterrupt
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

    def _strike(self):
        if self._wanted:
            self._wanted = False
            raise KeyboardInterrupt


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
