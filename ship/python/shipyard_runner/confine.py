"""Confinement of paths to the workspace, in one place.

A path is walked component by component with directory descriptors and without letting the kernel follow a link; links
are followed here, and what they say is confined like the rest. So nothing that changes between the look and the use can
lead outside: at worst the walk fails.
"""

import errno
import os
import stat

from .errors import RunnerError

_MAX_PATH_BYTES = 4096
_MAX_LINKS = 40
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Located:
    """A place in the workspace: a name in an open directory. Use as a context manager; it owns the descriptor.

    name    one component, not a link if links were followed; may not exist; "." for the workspace itself
    path    absolute, as the session sees it
    """

    def __init__(self, directory, name, path):
        self.directory = directory
        self.name = name
        self.path = path

    @property
    def is_workspace(self):
        return self.name == "."

    def lstat(self):
        return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        os.close(self.directory)


class Workspace:
    def __init__(self, root):
        self.root = root
        real = os.path.realpath(root)
        self._roots = [_split(root)] + ([_split(real)] if real != root else [])

    def locate(self, path, follow_last=True, make_parents=False):
        """Where a path leads: relative to the workspace, or absolute inside it.

        Raises RunnerError PATH_OUTSIDE_WORKSPACE or FILE_OPERATION_FAILED, and OSError (FileNotFoundError,
        NotADirectoryError, ...) where a parent is missing or no directory.
        """
        if "\0" in path:
            raise RunnerError("FILE_OPERATION_FAILED", "embedded null byte")
        try:
            size = len(os.fsencode(path))
        except UnicodeEncodeError as error:
            raise RunnerError("FILE_OPERATION_FAILED", "path is not text") from error
        if size > _MAX_PATH_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
        return _Walk(self, path, follow_last, make_parents).run()

    def open_directory(self, path):
        """A descriptor of a directory in the workspace (O_PATH: to enter, and as the base of other calls)."""
        with self.locate(path) as at:
            return os.open(at.name, _DIRECTORY, dir_fd=at.directory)

    def open_root(self):
        """Opened anew each time: the session may have removed its workspace, which is then made again."""
        try:
            return os.open(self.root, _DIRECTORY)
        except FileNotFoundError:
            os.mkdir(self.root, 0o700)
            return os.open(self.root, _DIRECTORY)

    def is_root(self, parts):
        return parts in self._roots

    def parent_of_root(self):
        return self._roots[0][:-1]


class _Walk:
    def __init__(self, workspace, path, follow_last, make_parents):
        self._workspace = workspace
        self._follow_last = follow_last
        self._make_parents = make_parents
        self._links = 0
        self._todo = []
        #: Names from the workspace to `_fd`, or None while the walk is lexically outside; then `_outside` says where.
        self._trail = []
        self._outside = []
        self._fd = -1
        self._push(path)

    def run(self):
        self._fd = self._workspace.open_root()
        try:
            name = self._walk()
            if self._trail is None:
                raise RunnerError(
                    "PATH_OUTSIDE_WORKSPACE",
                    "Access denied: path must be within workspace " + self._workspace.root,
                )
            if name is None and self._trail:
                name = self._trail.pop()
                self._reopen()
            path = "/".join([self._workspace.root, *self._trail, *([name] if name else [])])
            located = Located(self._fd, name or ".", path)
            self._fd = -1
            return located
        finally:
            if self._fd >= 0:
                os.close(self._fd)

    def _walk(self):
        """The last name, not entered; None where the walk ended in a directory that it stands in."""
        while self._todo:
            part = self._todo.pop()
            if self._absolute_follows(part):
                continue
            if self._trail is None:
                self._step_outside(part)
            elif part == "..":
                self._step_up()
            else:
                last = not self._todo
                if self._step_down(part, last):
                    return part
        return None

    def _push(self, path):
        parts = _split(path)
        self._todo.extend(reversed(parts))
        if path.startswith("/"):
            self._todo.append("/")

    def _absolute_follows(self, part):
        if part != "/":
            return False
        self._trail = None
        self._outside = []
        return True

    def _step_outside(self, part):
        """Outside nothing is looked at: the words alone say whether the path comes back."""
        if part == "..":
            self._outside = self._outside[:-1]
        else:
            self._outside = [*self._outside, part]
        if self._workspace.is_root(self._outside):
            self._trail = []
            self._reopen()

    def _step_up(self):
        if self._trail:
            self._trail.pop()
            self._reopen()
        else:
            self._trail = None
            self._outside = self._workspace.parent_of_root()

    def _step_down(self, name, last):
        """Enters a directory or follows a link; True where `name` is the end of the path."""
        try:
            mode = os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode
        except FileNotFoundError:
            if last:
                return True
            if not self._make_parents:
                raise
            self._make_directory(name)
            mode = stat.S_IFDIR
        if stat.S_ISLNK(mode) and (self._follow_last or not last):
            self._links += 1
            if self._links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
            self._push(os.readlink(name, dir_fd=self._fd))
            return False
        if last:
            return True
        self._enter(name)
        return False

    def _make_directory(self, name):
        try:
            os.mkdir(name, 0o777, dir_fd=self._fd)
        except FileExistsError:
            pass

    def _enter(self, name):
        entered = os.open(name, _DIRECTORY, dir_fd=self._fd)
        os.close(self._fd)
        self._fd = entered
        self._trail.append(name)

    def _reopen(self):
        """Walks the trail again, whose names were directories: cheaper than holding a descriptor for each."""
        trail = self._trail
        os.close(self._fd)
        self._fd = -1
        self._fd = self._workspace.open_root()
        self._trail = []
        for name in trail:
            self._enter(name)


def _split(path):
    return [part for part in path.split("/") if part not in ("", ".")]
