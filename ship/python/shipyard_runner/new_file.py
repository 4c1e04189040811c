"""A file that appears whole or not at all: nameless while it is written, then put in its place by one rename."""

import errno
import os
import stat


class NewFile:
    """In the directory of a confine.Located. As a context manager it aborts unless commit() was called."""

    def __init__(self, at):
        self._at = at
        self._name = None
        self.path = os.fsencode(at.path).decode("utf-8", "replace")
        self.size = 0
        try:
            # Without a name nothing is left behind however we end; needs a file system that knows it.
            self.descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=at.directory)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EACCES):
                raise
            self._name = _temporary_name()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self.descriptor = os.open(self._name, flags, 0o600, dir_fd=at.directory)

    def write(self, data):
        view = memoryview(data)
        while view:
            count = os.write(self.descriptor, view)
            self.size += count
            view = view[count:]

    def commit(self, mode):
        """Puts the file in its place. `mode`: permission bits, or None: those of the file that is replaced, else 0600."""
        os.fchmod(self.descriptor, self._old_mode() if not mode else mode & 0o777)
        os.fsync(self.descriptor)
        if self._name is None:
            name = _temporary_name()
            os.link("/proc/self/fd/%d" % self.descriptor, name, dst_dir_fd=self._at.directory, follow_symlinks=True)
            self._name = name
        directory = self._at.directory
        os.rename(self._name, self._at.name, src_dir_fd=directory, dst_dir_fd=directory)
        self._name = None
        self._close()

    def abort(self):
        """Leaves nothing. Safe to repeat, and after commit()."""
        if self.descriptor < 0:
            return
        if self._name is not None:
            try:
                os.unlink(self._name, dir_fd=self._at.directory)
            except FileNotFoundError:
                pass
        self._close()

    def close(self):
        """abort(), and gives up the directory too, for those who were given it with the file."""
        self.abort()
        os.close(self._at.directory)

    def _old_mode(self):
        try:
            old = self._at.lstat()
        except FileNotFoundError:
            return 0o600
        return stat.S_IMODE(old.st_mode) & 0o777 if stat.S_ISREG(old.st_mode) else 0o600

    def _close(self):
        os.close(self.descriptor)
        self.descriptor = -1

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.abort()


def _temporary_name():
    return ".shipyard-%s.tmp" % os.urandom(8).hex()
