"""The levers one by one: each is tried by itself, and left out where this ipykernel does not fit."""

import importlib
import importlib.util
import sys
import types

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


class later_dates:
    """While it lasts dateutil stands there without having run; what was imported of it is a function that runs it when called.

    jupyter_client imports it for dates in messages, which nobody reads here: skip_dates().
    """

    def __enter__(self):
        self._placed = {name: _stand_in(name) for name in ("dateutil.parser", "dateutil.tz") if name not in sys.modules}
        sys.modules.update(self._placed)

    def __exit__(self, *_):
        for name, module in self._placed.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _stand_in(name):
    module = types.ModuleType(name)

    def attribute(wanted):
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        return lambda *args, **options: getattr(importlib.import_module(name), wanted)(*args, **options)

    module.__getattr__ = attribute
    return module


def import_less():
    """jupyter_client's package imports managers, provisioners and clients; a kernel needs two of its modules.

    The package stands there without having run; it runs when somebody asks it for anything else.
    """
    spec = importlib.util.find_spec("jupyter_client")
    package = importlib.util.module_from_spec(spec)

    def attribute(name):
        # What the kernel itself wants of the package.
        if name in ("write_connection_file", "find_connection_file"):
            return getattr(importlib.import_module("jupyter_client.connect"), name)
        if name.startswith("__"):
            raise AttributeError(name)
        if package.__dict__.pop("__getattr__", None):
            spec.loader.exec_module(package)
        return getattr(package, name)

    package.__getattr__ = attribute
    sys.modules["jupyter_client"] = package
    package.__dict__.update(
        (name, value)
        for name, value in vars(importlib.import_module("jupyter_client._version")).items()
        if "version" in name
    )


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


def log_what_is_shown(app):
    """traitlets lets its logger make a record of every debug line, four a cell, for a handler that drops them."""
    app.log.setLevel(app.log_level)


def copy_messages(session):
    """Sending without a copy costs a trip through a thread of its own for each message; a copy of 64 KiB costs less."""
    session.copy_threshold = 1024 * 1024


def forget_outputs(shell):
    """IPython 9 also keeps the representations of every result, images too, for as long as the kernel lives."""
    manager = shell.history_manager
    if hasattr(manager, "outputs"):
        manager.outputs = _Forgetful()


class _Forgetful(dict):
    """Takes what is appended to any of its lists, and keeps nothing."""

    def __missing__(self, _key):
        return []
