"""IPython's shell as cells see it: its results and displays belong to a cell, and a KeyboardInterrupt to the cell's code."""

import contextlib
import sys
import warnings

from ipykernel.zmqshell import ZMQDisplayPublisher, ZMQShellDisplayHook
from ipykernel.zmqshell import ZMQInteractiveShell as StockShell
from traitlets import Type

from . import cells, children, once, own_streams
from .interrupts import hide_ours, interrupts


class DisplayPublisher(cells.OfCell, ZMQDisplayPublisher):
    pass


class DisplayHook(cells.OfCell, ZMQShellDisplayHook):
    def cull_cache(self):
        """IPython forgets the oldest of a thousand results, and would tell so in the output of the cell that is running."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().cull_cache()

    def finish_displayhook(self):
        if not children.is_child():  # which has no way to send it
            super().finish_displayhook()


# Libraries recognise a notebook by this class's name.
class ZMQInteractiveShell(StockShell):
    display_pub_class = Type(DisplayPublisher)
    displayhook_class = Type(DisplayHook)

    async def run_code(self, *args, **kwargs):
        # From here on IPython turns a KeyboardInterrupt into the cell's error; what runs before may swallow it.
        once.forget()
        interrupts.allow()
        try:
            return await super().run_code(*args, **kwargs)
        finally:
            interrupts.rest()
            own_streams.mend()

    def showtraceback(self, *args, **kwargs):
        if children.is_child():
            children.leave(sys.exc_info()[1])
        with interrupts.paused():
            super().showtraceback(*args, **kwargs)

    def _get_exc_info(self, exc_tuple=None):
        found = super()._get_exc_info(exc_tuple)
        hide_ours(found[2])
        return found

    @contextlib.contextmanager
    def _tee(self, channel):
        """IPython 9 keeps a copy of all that cells print, for %notebook; the agent's log has it, and memory stays free."""
        yield
