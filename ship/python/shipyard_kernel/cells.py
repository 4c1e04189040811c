"""Which cell does the code that runs just now belong to?

Output belongs to the cell that started the code: a thread carries the cell that started the thread, a task the cell that
created it, a job in a thread pool the cell that handed it over. A stock kernel gives a thread's output to whatever cell
is running, so that the output of an ended cell shows up in the next.
"""

import contextvars
import functools
import threading


class Cell:
    """One shell request; output carries its header as parent."""

    __slots__ = ("header", "message", "packed")

    def __init__(self, message):
        self.message = message
        self.packed = None
        self.header = message.get("header", {}) if message else {}


#: Output that belongs to no cell. Its parent is empty, and the agent files it under the session's background.
IDLE = Cell({})

_current = contextvars.ContextVar("shipyard_cell")
_ATTRIBUTE = "_shipyard_cell"

#: The cell of the calling context, or the argument where the context has none yet: current() without its second look.
known = _current.get

#: The cell that the shell works on. Only for code whose origin nobody knows: threads that Python did not start.
running = IDLE


def enter(message):
    """The shell begins a request; its context, and all that it starts, belongs to it."""
    global running
    running = Cell(message)
    _current.set(running)
    return running


def leave():
    global running
    running = IDLE


def current():
    try:
        return _current.get()
    except LookupError:
        pass
    # A new thread has an empty context. What its starter left on the thread object moves into the context, once.
    cell = getattr(threading.current_thread(), _ATTRIBUTE, None)
    if cell is None:
        return running
    _current.set(cell)
    return cell


def bind(message):
    """Binds only the calling context; returns the token for unbind()."""
    return _current.set(Cell(message))


def unbind(token):
    _current.reset(token)


def install():
    """Makes threads and jobs of thread pools carry the cell that started them."""
    start = threading.Thread.start

    @functools.wraps(start)
    def bound_start(self):
        setattr(self, _ATTRIBUTE, current())
        return start(self)

    threading.Thread.start = bound_start

    from concurrent.futures import ThreadPoolExecutor

    submit = ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def bound_submit(self, fn, /, *args, **kwargs):
        return submit(self, functools.partial(_run_in, current(), fn), *args, **kwargs)

    ThreadPoolExecutor.submit = bound_submit


def _run_in(cell, fn, *args, **kwargs):
    token = _current.set(cell)
    try:
        return fn(*args, **kwargs)
    finally:
        _current.reset(token)


class OfCell:
    """For what ipykernel tells of each request, as streams, displays and results: they belong to the cell of their code."""

    @property
    def parent_header(self):
        return current().header

    @parent_header.setter
    def parent_header(self, _value):
        pass  # the kernel says which cell it is, once for all

    def set_parent(self, parent):
        pass

    def set_thread_parent(self, parent):
        return bind(parent)

    def reset_thread_parent(self, token):
        unbind(token)
