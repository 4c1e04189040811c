"""The kernel's own sys.stdout and sys.stderr, for a cell whose code has lost them."""

import sys

#: By name, once remember() was called.
own = {}


def remember():
    """The streams that are in place now are the kernel's own."""
    own.update(stdout=sys.stdout, stderr=sys.stderr)


def mend():
    """Gives the code its streams back where it has lost them: deleted, closed, or put something there that cannot flush.

    ipykernel flushes both behind every cell, and says nothing more of a cell where that fails.
    """
    for name, stream in own.items():
        try:
            held = getattr(sys, name)
            if held is not stream and held is not None:
                held.flush()
                held.write("")  # a closed StringIO flushes all the same
        except Exception:  # whatever the code has put there may throw
            setattr(sys, name, stream)
