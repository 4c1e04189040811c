"""The levers one by one: each is tried by itself, and left out where this ipykernel does not fit."""

import sys

#: Those that work in this kernel; the agent is told.
on = []
#: Those that do not, with the reason.
off = {}

#: Imported by a stock kernel at its start and needed by none of its answers here. User code can still import them.
UNNEEDED = ("debugpy", "jedi", "pkg_resources")


def pull(name, lever, *args):
    try:
        lever(*args)
    except Exception as error:  # whatever a future ipykernel may throw: the kernel does without this lever
        off[name] = f"{type(error).__name__}: {error}"
    else:
        on.append(name)


class without_unneeded:
    """While it lasts the kernel's own import of these modules fails, as if they were not installed."""

    def __enter__(self):
        self._blocked = [name for name in UNNEEDED if name not in sys.modules]
        for name in self._blocked:
            sys.modules[name] = None

    def __exit__(self, *_):
        for name in self._blocked:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)


def cache_signatures():
    """ipykernel inspects the signatures of the same few functions for every cell."""
    from ipykernel import ipkernel, kernelbase

    found = False
    for name in ("_accepts_parameters", "_accepts_cell_id"):
        for module in (kernelbase, ipkernel):
            if hasattr(module, name):
                setattr(module, name, _cached(getattr(module, name)))
                found = True
    if not found:
        raise AttributeError("no function that inspects signatures")


def _cached(inspect_signature):
    known = {}

    def cached(method, *names):
        key = (getattr(method, "__func__", method), *map(tuple, names))
        if key not in known:
            known[key] = inspect_signature(method, *names)
        return known[key]

    return cached


def skip_dates():
    """jupyter_client parses the dates of every header, and nobody reads them."""
    from jupyter_client import session

    session.extract_dates  # noqa: B018 -- it must be there
    session.extract_dates = lambda value: value


def forget_outputs(shell):
    """IPython 9 also keeps the representations of every result, images too, for as long as the kernel lives."""
    manager = shell.history_manager
    if hasattr(manager, "outputs"):
        manager.outputs = _Forgetful()


class _Forgetful(dict):
    """Takes what is appended to any of its lists, and keeps nothing."""

    def __missing__(self, _key):
        return []
