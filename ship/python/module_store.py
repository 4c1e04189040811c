"""The compiled modules of a program's start in one file, which saves finding and opening hundreds of files one by one.

    module_store.py PROGRAM        makes it: run by the program's interpreter, with its options, where packages change no more

The file, `PROGRAM.bin` beside this one: a length (8 bytes, little-endian), the marshalled index, then each module's code as
a .pyc has it. It serves the same interpreter, in the place where it was made, which looks for modules where that one did
and in a session's own packages, which must hold nothing yet: what the session has installed may be another version of any.
"""

import importlib
import marshal
import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader

#: What is imported at the start of each program.
_STARTS = {
    "kernel_launcher": ["shipyard_kernel.app"],
    "session_runner": ["shipyard_runner.isolation", "shipyard_runner.own_user", "shipyard_runner.runner"],
}
_PLACE = os.path.dirname(os.path.abspath(__file__))
#: What a session's own place for packages holds at first: how it sees the ship's.
_NOTHING_INSTALLED = ["shipyard.pth"]


class served:
    """While it lasts, imports are served from the program's store, where there is one that fits. Nothing of it stays."""

    def __init__(self, program):
        self._program = program

    def __enter__(self):
        self._finder = _open(os.path.join(_PLACE, self._program + ".bin"))
        if self._finder:
            sys.meta_path.insert(0, self._finder)

    def __exit__(self, *_):
        if self._finder:
            sys.meta_path.remove(self._finder)
            self._finder.close()
        sys.modules.pop(__name__, None)  # the name is the user's


def _open(file):
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        length = int.from_bytes(os.read(descriptor, 8), "little")
        place, version, paths, modules, size = marshal.loads(os.pread(descriptor, length, 8))
        is_whole = os.fstat(descriptor).st_size == 8 + length + size
        if is_whole and place == _PLACE and version == sys.version and _looks_in(paths):
            return _Finder(descriptor, 8 + length, modules)
    except (EOFError, MemoryError, OSError, OverflowError, TypeError, ValueError):
        pass  # no store, or half of one
    os.close(descriptor)
    return None


def _looks_in(paths):
    try:
        return all(path in paths or os.listdir(path) == _NOTHING_INSTALLED for path in sys.path[1:])
    except OSError:
        return False


class _Finder:
    def __init__(self, descriptor, start, modules):
        self._descriptor = descriptor
        self._start = start
        self._modules = modules
        self._served = []

    def find_spec(self, name, _path=None, _target=None):
        if name not in self._modules:
            return None
        origin, cached, is_package, offset, length = self._modules[name]
        loader = _Loader(name, origin)
        loader.read = lambda: os.pread(self._descriptor, length, self._start + offset)
        spec = ModuleSpec(name, loader, origin=origin, is_package=is_package)
        spec.has_location = True
        spec.cached = cached
        if is_package:
            spec.submodule_search_locations.append(os.path.dirname(origin))
        self._served.append(spec)
        return spec

    def close(self):
        os.close(self._descriptor)
        for spec in self._served:
            spec.loader = SourceFileLoader(spec.name, spec.origin)
            if spec.name in sys.modules:
                sys.modules[spec.name].__loader__ = spec.loader


class _Loader(SourceFileLoader):
    def get_code(self, _name):
        return marshal.loads(self.read())


def _make(program):
    before = set(sys.modules)
    for name in _STARTS[program]:
        importlib.import_module(name)

    modules = {}
    codes = []
    offset = 0
    for name, module in sorted(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if name in before or spec is None or not isinstance(spec.loader, SourceFileLoader):
            continue
        code = marshal.dumps(spec.loader.get_code(name))
        is_package = spec.submodule_search_locations is not None
        modules[spec.name] = (spec.origin, spec.cached, is_package, offset, len(code))
        codes.append(code)
        offset += len(code)
    index = marshal.dumps((_PLACE, sys.version, sys.path[1:], modules, offset))
    path = os.path.join(_PLACE, program + ".bin")
    with open(path + ".new", "wb") as file:
        file.write(len(index).to_bytes(8, "little") + index)
        file.writelines(codes)
        os.fchmod(file.fileno(), 0o644)
    os.replace(path + ".new", path)
    print("%s: %d modules, %d bytes" % (program, len(modules), offset))


if __name__ == "__main__":
    sys.path[0:0] = [] if _PLACE in sys.path else [_PLACE]
    _make(sys.argv[1])
