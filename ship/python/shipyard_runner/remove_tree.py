"""Removing a directory with all that is in it: no link is followed, and neither depth nor width costs descriptors."""

import os
import stat
from contextlib import suppress

_MAX_DEPTH = 64
#: Looked at a time, so that a directory of millions needs no list of millions.
_MAX_NAMES = 10_000
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(directory, name):
    """Removes `name` in the open `directory`. What others remove meanwhile is no failure."""
    top = _open_directory(directory, name)
    try:
        _empty(top, top, 0)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=directory)


def _empty(directory, top, depth):
    """What lies too deep is moved up to the top, whose turn comes again until nothing is left."""
    while True:
        names = _first_names(directory)
        if not names:
            return
        for name, is_directory in names:
            with suppress(FileNotFoundError):
                if not is_directory:
                    os.unlink(name, dir_fd=directory)
                elif depth < _MAX_DEPTH:
                    _remove_directory(directory, name, top, depth + 1)
                else:
                    os.rename(name, ".shipyard-%s.removed" % os.urandom(8).hex(), src_dir_fd=directory, dst_dir_fd=top)


def _remove_directory(directory, name, top, depth):
    descriptor = _open_directory(directory, name)
    try:
        _empty(descriptor, top, depth)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=directory)


def _first_names(directory):
    """The first of what is in a directory, each with whether it is a directory itself."""
    names = []
    with os.scandir(directory) as entries:
        for entry in entries:
            names.append((entry.name, entry.is_dir(follow_symlinks=False)))
            if len(names) == _MAX_NAMES:
                break
    return names


def _open_directory(directory, name):
    try:
        return os.open(name, _OPEN, dir_fd=directory)
    except PermissionError:
        # The owner may remove what it forbade itself to read; never through a link.
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise
        os.chmod(name, 0o700, dir_fd=directory)
        return os.open(name, _OPEN, dir_fd=directory)
