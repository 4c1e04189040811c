"""Removing a directory with all that is in it: no link is followed, and neither depth nor width costs descriptors."""

import os
import stat

_MAX_DEPTH = 64
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(directory, name):
    """Removes `name` in the open `directory`. What lies too deep is first moved up to the top and removed from there."""
    top = _open_directory(directory, name)
    try:
        pending = [None]
        while pending:
            _empty(top, pending.pop(), top, pending, 0)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=directory)


def _empty(directory, name, top, pending, depth):
    """Empties `name` in `directory` and removes it; the top itself (None) is only emptied."""
    descriptor = os.dup(top) if name is None else _open_directory(directory, name)
    try:
        while True:
            names = _first_names(descriptor)
            if not names:
                break
            for child, is_directory in names:
                if not is_directory:
                    os.unlink(child, dir_fd=descriptor)
                elif depth < _MAX_DEPTH:
                    _empty(descriptor, child, top, pending, depth + 1)
                else:
                    moved = ".shipyard-%s.removed" % os.urandom(8).hex()
                    os.rename(child, moved, src_dir_fd=descriptor, dst_dir_fd=top)
                    pending.append(moved)
    finally:
        os.close(descriptor)
    if name is not None:
        os.rmdir(name, dir_fd=directory)


def _first_names(descriptor):
    """At most 10,000 at a time, so that a directory of millions needs no list of millions."""
    names = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            names.append((entry.name, entry.is_dir(follow_symlinks=False)))
            if len(names) == 10_000:
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
